import type { Outbox } from '../mail/outbox.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Failure } from '../platform/failure.ts';
import type { Shares } from '../platform/shares.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { withinTimeLimit } from '../platform/time-limit.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { Crowd } from './crowd.ts';
import { Refusal, Transaction } from './transaction.ts';

type Done<T> = { tx: Transaction } & ({ result: T } | { failure: Failure });

/** One statement for many questions: returns their answers in the order of the questions. */
export type Together<Question, Answer> = (
  em: EntityManager,
  now: Date,
  questions: readonly Question[],
) => Promise<readonly Answer[]>;

/** Whose work it is, and whether they still wait for it. */
type Waiting = Pick<Caller, 'signal'> & Partial<Pick<Caller, 'subject'>>;

/** What use cases reach the database by: `read` for single statements, `transaction` for changes. */
export class Database {
  readonly #sql: SqlDatabase;
  readonly #clock: Clock;
  readonly #parts: { outbox: Outbox; revocations: RevocationFeed };
  readonly #shares: Shares | undefined;
  readonly #crowds = new Map<unknown, unknown>();

  /** `shares` is how much of the database one principal may use at a time, if that is limited. */
  constructor(
    sql: SqlDatabase,
    clock: Clock,
    parts: { outbox: Outbox; revocations: RevocationFeed },
    shares?: Shares,
  ) {
    this.#shares = shares;
    this.#sql = sql;
    this.#clock = clock;
    this.#parts = parts;
  }

  /**
   * Runs `work` without a transaction, for single statements; `now` is the current time. Throws what
   * `transaction` throws.
   */
  read<T>(caller: Waiting, work: (em: EntityManager, now: Date) => Promise<T>): Promise<T> {
    return this.#shared(caller, () =>
      this.#sql.read((em) => work(em, this.#clock.now()), caller.signal),
    );
  }

  /** A principal whose calls wait for something must leave connections to the others (W06). */
  #shared<T>({ subject, signal }: Waiting, work: () => Promise<T>): Promise<T> {
    if (!subject || !this.#shares) return work();
    return this.#shares.run(subject, signal, work);
  }

  /**
   * Returns the answer to a question in a statement that it shares with those that others ask of the
   * same `work` at about the same time. Each has the limits that `read` has, and fails like one: if the
   * statement fails, all of them do.
   */
  together<Question, Answer>(
    { signal }: Pick<Caller, 'signal'>,
    work: Together<Question, Answer>,
    question: Question,
  ): Promise<Answer> {
    const crowd = this.#crowdOf(work);
    return withinTimeLimit(this.#sql.limitMs, signal, (expired) => crowd.ask(question, expired));
  }

  #crowdOf<Question, Answer>(work: Together<Question, Answer>): Crowd<Question, Answer> {
    const known = this.#crowds.get(work) as Crowd<Question, Answer> | undefined;
    if (known) return known;
    const crowd = new Crowd((questions: readonly Question[]) =>
      this.#sql.read((em) => work(em, this.#clock.now(), questions)),
    );
    this.#crowds.set(work, crowd);
    return crowd;
  }

  /**
   * Runs `work` in one transaction, and then the actions that follow the commit. Commits if `work`
   * returns or throws a refusal of `tx`, and rolls back if it throws anything else.
   *
   * Throws the refusal's failure after the commit. Throws `DEPENDENCY_UNAVAILABLE` if the database does
   * not answer within the statement timeout, and the signal's reason if the caller is gone.
   */
  async transaction<T>(caller: Caller, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const attempt = async (em: EntityManager): Promise<Done<T>> => {
      const tx = new Transaction(em, caller, this.#clock, this.#parts);
      try {
        return { tx, result: await work(tx) };
      } catch (error) {
        if (error instanceof Refusal) return { tx, failure: error.failure };
        throw error;
      }
    };
    const committed = ({ tx }: Done<T>) => tx.committed();
    const done = await this.#shared(caller, () =>
      this.#sql.transaction(attempt, { signal: caller.signal, committed }),
    );
    if ('failure' in done) throw done.failure;
    return done.result;
  }
}
