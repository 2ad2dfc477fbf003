import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import { signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { RecoveryCode } from './recovery-code.entity.ts';
import { TotpCredential } from './totp-credential.entity.ts';
import { totpCredentialsIn } from './totp-credential.repository.ts';

export type DisableTotpDeps = NoticeDeps & { database: SqlDatabase };

/** Turns the second factor off. Throws `MFA_STATE` where it is off. */
export async function disableTotp(
  deps: DisableTotpDeps,
  caller: Caller,
  accountId: string,
): Promise<void> {
  await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(accountId);
    if (!(await totpCredentialsIn(em).findConfirmed(accountId))) throw mfaIsOff();
    await forgetTotp(em, accountId);
    recordAudit(em, deps, caller, {
      type: 'account.mfa_disabled',
      actor: accountId,
      subject: accountId,
      details: { factor: 'totp' },
    });
    await sendNotice(em, deps, account, { template: 'mfa_disabled' });
  }, caller.signal);
  deps.outbox.wake();
}

/** Forgets an account's secret, its recovery codes, and how often a code was wrong. */
export async function forgetTotp(em: EntityManager, account: string): Promise<void> {
  await em.nativeDelete(TotpCredential, { account });
  await em.nativeDelete(RecoveryCode, { account });
  await signInLocksIn(em).forget(account, 'code');
}

export function mfaIsOff(): Failure {
  return new Failure('precondition', 'MFA_STATE', 'the second factor is off');
}
