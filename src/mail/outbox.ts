import type { Keyring } from '../platform/crypto.ts';
import type { Jobs } from '../platform/jobs.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Mail } from './templates.ts';

export const MAIL_QUEUE = 'mail';
/** Far longer than a transaction takes from its mail to its commit. */
const RECENT_MS = 10_000;
const PURPOSE = 'outbox/mail';

/** Mail that is sent if and only if the transaction commits that it was written in (E02). */
export class Outbox {
  readonly #jobs: Jobs;
  readonly #keyring: Keyring;
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(jobs: Jobs, keyring: Keyring) {
    this.#jobs = jobs;
    this.#keyring = keyring;
  }

  /** Enqueues a mail, sealed: a copy of the database shows neither its token nor its address (S11). */
  async send(em: EntityManager, mail: Mail): Promise<void> {
    const sealed = this.#keyring.seal(PURPOSE, JSON.stringify(mail));
    this.#sentAt = performance.now();
    await this.#jobs.enqueue(em, MAIL_QUEUE, sealed.toString('base64'));
  }

  /** The mail of a job. */
  unseal(body: string): Mail {
    const plain = this.#keyring.open(PURPOSE, Buffer.from(body, 'base64'));
    return JSON.parse(plain.toString()) as Mail;
  }

  /**
   * Has the mail leave now, once the transaction has committed. Costs nothing where this replica has
   * sent none of late: most sign-ins send none.
   */
  wake(): void {
    if (performance.now() - this.#sentAt < RECENT_MS) this.#jobs.wake(MAIL_QUEUE);
  }
}
