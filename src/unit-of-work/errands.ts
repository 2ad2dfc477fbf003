import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { inEvenTime } from '../platform/even-time.ts';
import type { Jobs } from '../platform/jobs.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database } from './database.ts';

export const ERRAND_QUEUE = 'errands';
const PURPOSE = 'errand';
/**
 * Longer than concurrent calls for one address take, so that no answer waits for the work that they
 * cause.
 */
const DELAY_SECONDS = 1;

/** What anyone may ask for any address, whether or not it has an account. */
export type Errand =
  | { kind: 'sign_up'; email: string; displayName: string; passwordHash: string }
  | { kind: 'resend_verification'; email: string }
  | { kind: 'request_password_reset'; email: string };

/** The caller who asked for it, without their permissions: an errand does not depend on those. */
type Asker = Omit<Caller, 'signal' | 'permissions'>;

/**
 * Queues what is asked, to be decided after the answer: a call does the same work for every address, so
 * that neither its time nor its failures tell which of them have accounts (C04).
 */
export class Errands {
  readonly #jobs: Jobs;
  readonly #keyring: Keyring;

  constructor(jobs: Jobs, keyring: Keyring) {
    this.#jobs = jobs;
    this.#keyring = keyring;
  }

  /** Queues an errand, sealed (S11), in the transaction of `em`. */
  async add(em: EntityManager, caller: Caller, errand: Errand): Promise<void> {
    const { signal, permissions, ...asker } = caller;
    const sealed = this.#keyring.seal(PURPOSE, JSON.stringify({ errand, asker }));
    const delay = { delaySeconds: DELAY_SECONDS };
    await this.#jobs.enqueue(em, ERRAND_QUEUE, sealed.toString('base64'), delay);
  }

  /** Returns the errand of a job, and its caller as of then, whose signal is that of the job. */
  unseal(body: string, signal: AbortSignal): { errand: Errand; caller: Caller } {
    const plain = this.#keyring.open(PURPOSE, Buffer.from(body, 'base64'));
    const { errand, asker } = JSON.parse(plain.toString()) as { errand: Errand; asker: Asker };
    return { errand, caller: { ...asker, signal, permissions: [] } };
  }

  /** Marks an errand as run in the transaction that runs it. Returns false if it has been run. */
  finish(em: EntityManager, jobId: string): Promise<boolean> {
    return this.#jobs.finish(em, ERRAND_QUEUE, jobId);
  }
}

/** Queues an errand, which is all that its call does, in even time (C04). */
export async function queueErrand(
  { database, errands }: { database: Database; errands: Errands },
  caller: Caller,
  errand: Errand,
): Promise<void> {
  await inEvenTime(
    () => database.transaction(caller, (tx) => errands.add(tx.em, caller, errand)),
    caller.signal,
  );
}
