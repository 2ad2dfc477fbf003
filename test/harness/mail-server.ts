import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SMTPServer } from 'smtp-server';
import { noteSecret } from './logs.ts';

export type ReceivedMail = { to: string; subject: string; text: string; raw: string };

/** A real SMTP server. Keeps what it receives; can be told to refuse. */
export class MailServer {
  readonly mails: ReceivedMail[] = [];
  refuse = false;
  /** The one recipient that it refuses. */
  refuseFor: string | undefined;
  /**
   * Whether it accepts mail and then says that it failed: what a connection lost too early looks like.
   */
  failAfterwards = false;
  readonly #server: SMTPServer;

  constructor() {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onMailFrom: (_address, _session, done) =>
        done(this.refuse ? new Error('not now') : undefined),
      onRcptTo: ({ address }, _session, done) =>
        done(address === this.refuseFor ? new Error('not for them') : undefined),
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk) => chunks.push(chunk));
        stream.on('end', () => {
          const raw = Buffer.concat(chunks).toString();
          const to = session.envelope.rcptTo[0]?.address ?? '';
          const mail = {
            to,
            subject: /^Subject: (.*)$/m.exec(raw)?.[1] ?? '',
            text: textOf(raw),
            raw,
          };
          const token = tokenIn(mail);
          if (token !== undefined) noteSecret(token);
          this.mails.push(mail);
          done(this.failAfterwards ? new Error('lost') : undefined);
        });
      },
    });
    this.#server.on('error', () => {});
  }

  async listen(port = 0): Promise<string> {
    const server = await new Promise<{ address(): unknown }>((resolve) => {
      const listening = this.#server.listen(port, '127.0.0.1', () => resolve(listening));
    });
    return `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** The newest mail to an address with a subject, once it has arrived. */
  async next(to: string, subject: RegExp, since = 0): Promise<ReceivedMail> {
    for (let waited = 0; waited < 15_000; waited += 20) {
      const found = this.mails
        .slice(since)
        .findLast((mail) => mail.to === to && subject.test(mail.subject));
      if (found) return found;
      await sleep(20);
    }
    throw new Error(`no mail to ${to} about ${subject}`);
  }
}

/** The text part of a mail of ours: quoted-printable, before the HTML. */
function textOf(raw: string): string {
  const part = /Content-Type: text\/plain[\s\S]*?\r\n\r\n([\s\S]*?)\r\n--/.exec(raw)?.[1] ?? '';
  const bytes = part
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** The token that a mail's link carries. */
export function tokenIn(mail: { text: string }): string | undefined {
  return /#token=(\S+)/.exec(mail.text)?.[1];
}
