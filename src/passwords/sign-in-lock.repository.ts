import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { type GuessableFactor, SignInLock } from './sign-in-lock.entity.ts';

/** This many wrong ones in a row lock nothing yet. */
const FREE_FAILURES = 4;
/** This many in a row lock the factor until a reset, or until an administrator unlocks it. */
const FINAL_FAILURES = 10;
const FIRST_LOCK_SECONDS = 15 * 60;
/** The end of a lock that time does not lift. */
export const FOR_GOOD = new Date('9999-12-31T00:00:00Z');

export type LockState = { failures: number; lockedUntil: Date | undefined };

type Row = { failures: number; lockedUntil: string | null };

export class SignInLockRepository extends Repository<SignInLock> {
  /**
   * Counts a wrong password or code in one statement, so that no two calls count as one. The fifth in a
   * row locks for 15 minutes, each further one for twice as long, and the tenth for good. Returns the
   * new state, or undefined if a lock was in force already: then nothing is counted.
   */
  async countFailure(
    accountId: string,
    factor: GuessableFactor,
    now: Date,
  ): Promise<LockState | undefined> {
    const rows = await this.query<Row>(
      `insert into sign_in_locks as l (account_id, factor, failures, locked_until)
       values ($1, $2, 1, null)
       on conflict (account_id, factor) do update
       set failures = l.failures + 1,
           locked_until = case
             when l.failures + 1 >= ${FINAL_FAILURES} then $4::timestamptz
             when l.failures >= ${FREE_FAILURES} then
               $3::timestamptz + interval '1 second' *
                 (${FIRST_LOCK_SECONDS} * power(2, l.failures - ${FREE_FAILURES}))
           end
       where l.locked_until is null or l.locked_until <= $3
       returning failures, locked_until as "lockedUntil"`,
      [accountId, factor, now, FOR_GOOD],
    );
    return rows[0] && stateOf(rows[0]);
  }

  /** How often in a row a factor was wrong, and until when it is locked. */
  async stateOf(accountId: string, factor: GuessableFactor): Promise<LockState> {
    const rows = await this.query<Row>(
      `select failures, locked_until as "lockedUntil" from sign_in_locks
       where account_id = $1 and factor = $2`,
      [accountId, factor],
    );
    return stateOf(rows[0]);
  }

  /** Forgets the failures and the lock of a factor. */
  async forget(account: string, factor: GuessableFactor): Promise<void> {
    await this.nativeDelete({ account, factor });
  }
}

/** The sign-in locks that a connection or a transaction sees. */
export function signInLocksIn(em: EntityManager): SignInLockRepository {
  return new SignInLockRepository(em, SignInLock);
}

function stateOf(row: Row | undefined): LockState {
  return {
    failures: row?.failures ?? 0,
    lockedUntil: row?.lockedUntil ? timestamp(row.lockedUntil) : undefined,
  };
}

/** Whether the factor is locked now, and so must not be checked. */
export function isLocked({ lockedUntil }: LockState, now: Date): boolean {
  return lockedUntil !== undefined && lockedUntil > now;
}
