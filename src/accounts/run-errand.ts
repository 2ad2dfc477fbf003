import { settlePasswordReset } from '../passwords/request-password-reset.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Errands } from '../unit-of-work/errands.ts';
import { settleResend } from './resend-verification.ts';
import { settleSignUp } from './sign-up.ts';

/** Runs an errand once, however often its job is performed. */
export async function runErrand(
  { database, errands, keyring }: { database: Database; errands: Errands; keyring: Keyring },
  body: string,
  jobId: string,
  signal: AbortSignal,
): Promise<void> {
  const { errand, caller } = errands.unseal(body, signal);
  await database.transaction(caller, async (tx) => {
    if (!(await errands.finish(tx.em, jobId))) return;
    switch (errand.kind) {
      case 'sign_up':
        return settleSignUp(tx, keyring, errand);
      case 'resend_verification':
        return settleResend(tx, keyring, errand);
      case 'request_password_reset':
        return settlePasswordReset(tx, keyring, errand);
      default:
        // A newer version queued it, and a replica of that version will run it.
        throw new TypeError('unknown kind of errand');
    }
  });
}
