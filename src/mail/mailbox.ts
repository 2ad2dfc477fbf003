import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MailTransport } from './deliver.ts';

const LISTED = 200;

export type MailboxEntry = {
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  sent_at: string;
};

/** The embedded default's destination for mail: a file that only this user can read. */
export class Mailbox implements MailTransport {
  readonly #path: string;
  readonly #now: () => Date;

  constructor(dataDir: string, now: () => Date) {
    this.#path = join(dataDir, 'mailbox.ndjson');
    this.#now = now;
  }

  async deliver({ id, to, subject, text, html }: Parameters<MailTransport['deliver']>[0]) {
    const entry = { id, to, subject, text, html, sent_at: this.#now().toISOString() };
    // The line break in front ends a line that a crash left half-written.
    await appendFile(this.#path, `\n${JSON.stringify(entry)}\n`, { mode: 0o600 });
  }

  /** Returns the last mails, the newest first. A mail that was delivered twice is listed once. */
  async list(): Promise<MailboxEntry[]> {
    const text = await readFile(this.#path, 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    // Text after the last line break is still being written, or was cut off by a crash.
    const lines = text.split('\n').slice(0, -1).filter(Boolean).slice(-LISTED);
    const byId = new Map(lines.flatMap(parse).map((entry) => [entry.id, entry]));
    return [...byId.values()].reverse();
  }

  setUrl(): void {}
  close(): void {}
}

function parse(line: string): MailboxEntry[] {
  try {
    const entry = JSON.parse(line);
    return typeof entry?.id === 'string' ? [entry as MailboxEntry] : [];
  } catch {
    return [];
  }
}
