import type { AuditQueue } from '../audit/audit-queue.ts';
import {
  type RefusedPasskey,
  type VerifyPasskeyDeps,
  verifyPasskey,
} from '../passkeys/verify-passkey.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { IssuedTokens } from '../sessions/open-session.ts';
import { completeSignIn, type SignInDeps } from './complete-sign-in.ts';
import { notAdmitted } from './refusals.ts';
import { lockForSignIn } from './sign-in-state.ts';

export type FinishPasskeyLoginDeps = SignInDeps &
  VerifyPasskeyDeps & { database: SqlDatabase; auditQueue: AuditQueue };

export type PasskeyLogin = { credentialJson: string; deviceLabel: string };

/**
 * Signs in by passkey and opens a session. The passkey has verified its user, which makes two factors
 * of it. An account whose password is locked can still sign in so. The answer works once (C06).
 *
 * Throws `MFA_CODE_INVALID`; and only where the answer is right `ACCOUNT_SUSPENDED` and
 * `EMAIL_NOT_VERIFIED`. Refusals are audited off the path, sign-ins in their own transaction.
 */
export async function finishPasskeyLogin(
  deps: FinishPasskeyLoginDeps,
  caller: Caller,
  request: PasskeyLogin,
): Promise<IssuedTokens> {
  const outcome = await deps.database.transaction(
    (em) => open(em, deps, caller, request),
    caller.signal,
  );
  deps.outbox.wake();
  if (!('refused' in outcome)) return outcome;
  const { refused, accountId: subject } = outcome;
  const { reason } = refused;
  deps.auditQueue.add(caller, { type: 'sign_in.failed', subject, outcome: 'failure', reason });
  throw refused;
}

async function open(
  em: EntityManager,
  deps: FinishPasskeyLoginDeps,
  caller: Caller,
  { credentialJson, deviceLabel }: PasskeyLogin,
): Promise<IssuedTokens | RefusedPasskey> {
  const verified = await verifyPasskey(em, deps, caller, { credentialJson });
  if ('refused' in verified) return verified;
  const { account, amr } = verified;
  const refused = notAdmitted(account, deps.requireVerifiedEmail);
  if (refused) return { refused, accountId: account.id };
  const device = { deviceLabel, userAgent: caller.userAgent };
  const isNewDevice = (await lockForSignIn(em, account.id, device))?.isNewDevice === true;
  return completeSignIn(em, deps, caller, { account, amr, deviceLabel, isNewDevice });
}
