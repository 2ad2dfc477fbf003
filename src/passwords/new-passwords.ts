import type { Account } from '../accounts/account.entity.ts';
import type { Caller } from '../platform/caller.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { passwordsIn } from './password-credential.repository.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { passwordHistoryIn } from './password-history.repository.ts';
import type { PasswordPolicy } from './password-policy.ts';
import { signInLocksIn } from './sign-in-lock.repository.ts';

/** Judges, hashes and sets new passwords. */
export class NewPasswords {
  readonly #passwords: PasswordHasher;
  readonly #policy: PasswordPolicy;
  /** How many of an account's passwords can't be set again, the present one among them (C02). */
  readonly #history: number;

  constructor(passwords: PasswordHasher, policy: PasswordPolicy, history: number) {
    this.#passwords = passwords;
    this.#policy = policy;
    this.#history = history;
  }

  /** The hashes of an account's passwords that can't be set again. */
  async last(em: EntityManager, accountId: string): Promise<string[]> {
    const current = await passwordsIn(em).hashOf(accountId);
    const before = await passwordHistoryIn(em).before(accountId, this.#history);
    return [...(current === undefined ? [] : [current]), ...before].slice(0, this.#history);
  }

  /**
   * Checks a new password against the policy (C01) and the account's last ones (C02), and hashes it.
   * This takes a second or so, and is therefore done before the transaction, for one password of an
   * account at a time (C17).
   *
   * Throws `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`, `OVERLOADED`.
   */
  hash(
    account: Pick<Account, 'id' | 'email' | 'displayName'>,
    last: readonly string[],
    password: string,
    caller: Pick<Caller, 'ipAddress' | 'signal'>,
  ): Promise<string> {
    return this.#passwords.inTurn(account.id, caller.signal, () =>
      this.#judgeAndHash(account, last, password, caller),
    );
  }

  async #judgeAndHash(
    { email, displayName }: Pick<Account, 'email' | 'displayName'>,
    last: readonly string[],
    password: string,
    caller: Pick<Caller, 'ipAddress' | 'signal'>,
  ): Promise<string> {
    const { signal } = caller;
    const field = 'new_password';
    await this.#policy.check(password, { field, ownWords: [email, displayName], caller });
    if (await this.#passwords.matchesAny(password, last, signal)) {
      throw invalidField(
        field,
        "is one of the account's last passwords; choose another",
        'PASSWORD_REUSED',
      );
    }
    return this.#passwords.hash(password, signal);
  }

  /** Sets the password of an account that the transaction has locked, and lifts its lock. */
  async set(tx: Transaction, account: Account, passwordHash: string): Promise<void> {
    // The present password counts among the last ones, but is kept in another table.
    await this.#retire(tx, account.id, Math.max(this.#history - 1, 0));
    await passwordsIn(tx.em).set(account.id, passwordHash, tx.now);
    await signInLocksIn(tx.em).forget(account.id, 'password');
    account.updatedAt = tx.now;
  }

  /** Makes an account's password stop working, and keeps it among the last ones. */
  async retire(tx: Transaction, accountId: string): Promise<void> {
    await this.#retire(tx, accountId, this.#history);
  }

  async #retire({ em, now }: Transaction, accountId: string, keep: number): Promise<void> {
    await passwordsIn(em).retire(accountId, now);
    await passwordHistoryIn(em).trim(accountId, keep);
  }
}
