import type { Outbox } from '../mail/outbox.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Failure } from '../platform/failure.ts';
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

/** What use cases reach the database by: `read` for single statements, `transaction` for changes. */
export class Database {
  readonly #sql: SqlDatabase;
  readonly #clock: Clock;
  readonly #parts: { outbox: Outbox; revocations: RevocationFeed };
  readonly #crowds = new Map<unknown, unknown>();

  constructor(
    sql: SqlDatabase,
    clock: Clock,
    parts: { outbox: Outbox; revocations: RevocationFeed },
  ) {
    this.#sql = sql;
    this.#clock = clock;
    this.#parts = parts;
  }

  /**
   * Runs `work` without a transaction, for single statements; `now` is the current time. Throws what
   * `transaction` throws.
   */
  read<T>(
    { signal }: Pick<Caller, 'signal'>,
    work: (em: EntityManager, now: Date) => Promise<T>,
  ): Promise<T> {
    return this.#sql.read((em) => work(em, this.#clock.now()), signal);
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
    const done = await this.#sql.transaction<Done<T>>(
      async (em) => {
        const tx = new Transaction(em, caller, this.#clock, this.#parts);
        try {
          return { tx, result: await work(tx) };
        } catch (error) {
          if (error instanceof Refusal) return { tx, failure: error.failure };
          throw error;
        }
      },
      { signal: caller.signal, committed: ({ tx }) => tx.committed() },
    );
    if ('failure' in done) throw done.failure;
    return done.result;
  }
}
