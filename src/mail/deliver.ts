import { createTransport, type Transporter } from 'nodemailer';
import type { Outbox } from './outbox.ts';
import { renderMail } from './templates.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const SOCKET_TIMEOUT_MS = 20_000;

/** A mail as it leaves. `id` is the same when it is delivered again. */
type OutgoingMail = {
  id: string;
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
};

/** Hands mail over. Throws where that failed, and is then called again with the same id. */
export type MailTransport = {
  deliver(mail: OutgoingMail, signal: AbortSignal): Promise<void>;
  setUrl(url: string): void;
  close(): void;
};

export type DeliverDeps = {
  outbox: Outbox;
  transport: MailTransport;
  from: string;
  publicUrl: string;
};

/** Performs a job of the mail queue. */
export async function deliverMail(
  deps: DeliverDeps,
  body: string,
  jobId: string,
  signal: AbortSignal,
): Promise<void> {
  const mail = deps.outbox.unseal(body);
  const rendered = renderMail(mail, deps.publicUrl);
  await deps.transport.deliver({ id: jobId, from: deps.from, to: mail.to, ...rendered }, signal);
}

/** Mail by SMTP. The `Message-ID` is the job's id, so that a second delivery can be recognised. */
export function smtpTransport(url: string): MailTransport {
  let transporter = createSmtp(url);
  return {
    async deliver({ id, to, ...mail }, signal) {
      const domain = /@([^\s>]+)/.exec(mail.from)?.[1] ?? 'localhost';
      await transporter.sendMail({
        ...mail,
        to: { name: '', address: to },
        messageId: `<${id}@${domain}>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
        signal,
      });
    },
    setUrl(next) {
      transporter.close();
      transporter = createSmtp(next);
    },
    close: () => transporter.close(),
  };
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
