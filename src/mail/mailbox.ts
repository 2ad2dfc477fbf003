import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MailTransport } from './deliver.ts';

const SHOWN = 200;

export type MailboxEntry = {
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  sent_at: string;
};

/** Where mail goes in the embedded default: a file that only this user can read. */
export class Mailbox implements MailTransport {
  readonly #path: string;
  readonly #now: () => Date;

  constructor(dataDir: string, now: () => Date) {
    this.#path = join(dataDir, 'mailbox.ndjson');
    this.#now = now;
  }

  async deliver({ id, to, subject, text, html }: Parameters<MailTransport['deliver']>[0]) {
    const entry = { id, to, subject, text, html, sent_at: this.#now().toISOString() };
    // The line break in front ends whatever a process that died left half-written.
    await appendFile(this.#path, `\n${JSON.stringify(entry)}\n`, { mode: 0o600 });
  }

  /** The last mails, newest first; of a mail that was delivered twice, one. */
  async list(): Promise<MailboxEntry[]> {
    const text = await readFile(this.#path, 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    // What follows the last line break is being written, or was when the process died.
    const lines = text.split('\n').slice(0, -1).filter(Boolean).slice(-SHOWN);
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
