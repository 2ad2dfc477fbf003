import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type EndSessionsDeps, endSessions } from '../sessions/end-sessions.ts';
import type { Own } from '../sessions/principal.ts';
import type { TotpDeps } from './begin-totp-enrollment.ts';
import { replaceRecoveryCodes } from './recovery-codes.ts';
import { totpStep } from './totp.ts';
import { TotpCredential } from './totp-credential.entity.ts';
import { TOTP_PURPOSE } from './use-totp-code.ts';

export type ConfirmTotpDeps = TotpDeps & NoticeDeps & EndSessionsDeps;

/**
 * Turns the second factor on, by a code that proves that the app has the secret. The other sessions
 * end: they were opened without it. Gives the recovery codes, this once.
 *
 * Throws `MFA_CODE_INVALID` for a wrong code, which can be tried again, and `MFA_STATE` where no
 * enrolment has begun or one is complete.
 */
export async function confirmTotpEnrollment(
  deps: ConfirmTotpDeps,
  caller: Caller,
  own: Own,
  code: string,
): Promise<string[]> {
  const { codes, afterCommit } = await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(own.accountId);
    await confirm(em, deps, account.id, code);
    const codes = await replaceRecoveryCodes(em, deps, account.id);
    recordAudit(em, deps, caller, {
      type: 'account.mfa_enabled',
      actor: account.id,
      subject: account.id,
      details: { factor: 'totp' },
    });
    await sendNotice(em, deps, account, { template: 'mfa_enabled' }, { undo: { totp: true } });
    const afterCommit = await endSessions(em, deps, caller, account.id, 'mfa_enabled', {
      except: own.sessionId,
    });
    return { codes, afterCommit };
  }, caller.signal);
  afterCommit();
  deps.outbox.wake();
  return codes;
}

async function confirm(
  em: EntityManager,
  { keyring, clock }: ConfirmTotpDeps,
  account: string,
  code: string,
): Promise<void> {
  const credential = await em.findOne(TotpCredential, { account });
  if (!credential || credential.confirmedAt) {
    throw new Failure('precondition', 'MFA_STATE', 'no enrolment is under way');
  }
  const secret = keyring.open(TOTP_PURPOSE, credential.secretSealed);
  const step = totpStep(secret, code, clock.now());
  if (step === undefined) {
    throw new Failure('invalid', 'MFA_CODE_INVALID', 'the code is not one that the app shows now', {
      fields: [{ path: 'code', description: 'is not valid' }],
    });
  }
  credential.confirmedAt = clock.now();
  // The code that confirms is used up: it signs nobody in.
  credential.lastStep = step;
}
