import { randomBytes } from 'node:crypto';
import type { Keyring } from '../platform/crypto.ts';
import type { Webhook } from './webhook.entity.ts';

const PURPOSE = 'webhook-secret';
/** Standard Webhooks asks for 24 to 64 bytes. */
const SECRET_BYTES = 32;
const PREFIX = 'whsec_';

/** Returns a new signing secret, as its receiver gets it and as it is stored. */
export function newWebhookSecret(keyring: Keyring): { secret: string; sealed: Buffer } {
  const bytes = randomBytes(SECRET_BYTES);
  return {
    secret: `${PREFIX}${bytes.toString('base64')}`,
    sealed: keyring.seal(PURPOSE, bytes),
  };
}

/** The bytes of the secrets that sign the messages of a webhook at present, the newest first. */
export function signingSecrets(
  keyring: Keyring,
  webhook: Pick<Webhook, 'secret' | 'previousSecret' | 'previousUntil'>,
  now: Date,
): Buffer[] {
  const { secret, previousSecret, previousUntil } = webhook;
  const overlaps = previousSecret && previousUntil && previousUntil > now;
  const sealed = overlaps ? [secret, previousSecret] : [secret];
  return sealed.map((each) => keyring.open(PURPOSE, each));
}
