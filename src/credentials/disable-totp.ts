import { type NoticeDeps, sendNotice } from '../accounts/notices.ts';
import { lockOwnAccount } from '../accounts/own-account.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database, EntityManager } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { RecoveryCode } from './recovery-code.entity.ts';
import { SignInLock } from './sign-in-lock.entity.ts';
import { TotpCredential } from './totp-credential.entity.ts';

export type DisableTotpDeps = NoticeDeps & { database: Database };

/** Turns the second factor off. Throws `MFA_STATE` where it is off. */
export async function disableTotp(
  deps: DisableTotpDeps,
  caller: Caller,
  accountId: string,
): Promise<void> {
  await deps.database.transaction(async (em) => {
    const account = await lockOwnAccount(em, accountId);
    if (!(await em.getRepository(TotpCredential).findConfirmed(accountId))) throw mfaIsOff();
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
  await em.getRepository(SignInLock).forget(account, 'code');
}

export function mfaIsOff(): Failure {
  return new Failure('precondition', 'MFA_STATE', 'the second factor is off');
}
