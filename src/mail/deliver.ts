import { setTimeout as sleep } from 'node:timers/promises';
import { createTransport, type Transporter } from 'nodemailer';
import type { Breakers } from '../platform/breakers.ts';
import { begun, type Tracer } from '../platform/tracer.ts';
import type { Outbox } from './outbox.ts';
import { type MailLook, renderMail } from './templates.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const SOCKET_TIMEOUT_MS = 20_000;
const FAULTS_TO_OPEN = 3;
const REST_MS = 1000;
const SEND_MAIL = { name: 'send mail', kind: 'client' } as const;

/** A rendered mail. `id` is the same if the mail is delivered again. */
type OutgoingMail = {
  id: string;
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
};

export type MailTransport = {
  /** Hands a mail over. If it throws, it is called again later with the same id. */
  deliver(mail: OutgoingMail, signal: AbortSignal): Promise<void>;
  setUrl(url: string): void;
  /** Calls `listener` when the server, which was away, is back. */
  onBack?(listener: () => void): void;
  close(): void;
};

/** Performs a job of the mail queue: renders its mail and hands it to the transport. */
export async function deliverMail(
  needs: { outbox: Outbox; transport: MailTransport; tracer: Tracer; from: string; look: MailLook },
  body: string,
  jobId: string,
  signal: AbortSignal,
): Promise<void> {
  const { outbox, transport, tracer, from, look } = needs;
  try {
    const mail = outbox.unseal(body);
    const rendered = { id: jobId, from, to: mail.to, ...renderMail(mail, look) };
    await begun(tracer, SEND_MAIL, () => transport.deliver(rendered, signal));
    outbox.deliveries.add('delivered');
  } catch (error) {
    outbox.deliveries.add('failed');
    throw error;
  }
}

/**
 * Delivers mail by SMTP. The `Message-ID` is the job's id, which makes a second delivery recognisable.
 * After three failures in a row the server is left alone (W13), and asked every second whether it is back.
 */
export function smtpTransport(url: string, breakers: Breakers): MailTransport {
  let transporter = createSmtp(url);
  const closing = new AbortController();
  let tellBack = () => {};
  const untilBack = async () => {
    while (breaker.state !== 'closed') {
      await sleep(REST_MS, undefined, { signal: closing.signal, ref: false });
      await breaker.run(() => transporter.verify()).catch(() => {});
    }
    tellBack();
  };
  const onOpen = () => void untilBack().catch(() => {});
  const options = { faults: FAULTS_TO_OPEN, restMs: REST_MS, isFault, onOpen };
  const breaker = breakers.add('smtp', options);
  return {
    async deliver({ id, to, ...mail }, signal) {
      const domain = /@([^\s>]+)/.exec(mail.from)?.[1] ?? 'localhost';
      const message = {
        ...mail,
        to: { name: '', address: to },
        messageId: `<${id}@${domain}>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
        signal,
      };
      await breaker.run(() => transporter.sendMail(message));
    },
    setUrl(next) {
      transporter.close();
      transporter = createSmtp(next);
    },
    onBack(listener) {
      tellBack = listener;
    },
    close() {
      closing.abort();
      transporter.close();
    },
  };
}

/** A server that refuses a sender, a recipient or a mail is there. */
function isFault(error: unknown): boolean {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  return responseCode === undefined || responseCode === 421 || code === 'EAUTH';
}

function createSmtp(url: string): Transporter {
  return createTransport({
    url,
    pool: true,
    maxConnections: 3,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
  });
}
