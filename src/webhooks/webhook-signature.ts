import { createHmac } from 'node:crypto';

/** What is signed: the same bytes under the same id in every attempt. */
export type SignedMessage = {
  messageId: string;
  body: Uint8Array;
  /** The bytes of each secret that is in force. */
  secrets: readonly Uint8Array[];
};

/**
 * Returns the headers that Standard Webhooks receivers verify a message by, with a signature for each
 * secret (https://github.com/standard-webhooks/standard-webhooks). Only the time and with it the
 * signatures differ between attempts.
 */
export function signedHeaders({ messageId, body, secrets }: SignedMessage, now: Date) {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const mac = createHmac('sha256', secret).update(`${messageId}.${timestamp}.`).update(body);
    return `v1,${mac.digest('base64')}`;
  });
  return {
    'webhook-id': messageId,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
