import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import { type DisableTotpDeps, mfaIsOff } from './disable-totp.ts';
import { replaceRecoveryCodes } from './recovery-codes.ts';
import { totpCredentialsIn } from './totp-credential.repository.ts';

/** Makes new recovery codes and voids those before. Throws `MFA_STATE` where the factor is off. */
export async function regenerateRecoveryCodes(
  deps: DisableTotpDeps,
  caller: Caller,
  accountId: string,
): Promise<string[]> {
  const codes = await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(accountId);
    if (!(await totpCredentialsIn(em).findConfirmed(accountId))) throw mfaIsOff();
    recordAudit(em, deps, caller, {
      type: 'account.recovery_codes_replaced',
      actor: accountId,
      subject: accountId,
    });
    await sendNotice(em, deps, account, { template: 'recovery_codes_replaced' });
    return replaceRecoveryCodes(em, deps, accountId);
  }, caller.signal);
  deps.outbox.wake();
  return codes;
}
