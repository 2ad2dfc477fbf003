import { Counts } from '../platform/counts.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Jobs } from '../platform/jobs.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Mail } from './templates.ts';

export const MAIL_QUEUE = 'mail';
const PURPOSE = 'outbox/mail';

/** Queues mail, which is sent if and only if the transaction that queued it commits (E02). */
export class Outbox {
  /** What deliveries came to. */
  readonly deliveries = new Counts('outcome');
  readonly #jobs: Jobs;
  readonly #keyring: Keyring;

  constructor(jobs: Jobs, keyring: Keyring) {
    this.#jobs = jobs;
    this.#keyring = keyring;
  }

  /** Queues a mail, sealed: a copy of the database reveals neither its token nor its address (S11). */
  async send(em: EntityManager, mail: Mail): Promise<void> {
    const sealed = this.#keyring.seal(PURPOSE, JSON.stringify(mail));
    await this.#jobs.enqueue(em, MAIL_QUEUE, sealed.toString('base64'));
  }

  /** Returns the mail of a job. */
  unseal(body: string): Mail {
    const plain = this.#keyring.open(PURPOSE, Buffer.from(body, 'base64'));
    return JSON.parse(plain.toString()) as Mail;
  }

  /** Makes this replica's worker look for mail now. For use after the commit. */
  readonly wake = (): void => this.#jobs.wake(MAIL_QUEUE);
}
