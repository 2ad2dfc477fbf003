import { type RevokeKeysDeps, revokeKeys } from '../api-keys/revoke-keys.ts';
import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import type { Undo } from '../one-time-tokens/one-time-token.entity.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import { passwordHistoryIn } from '../passwords/password-history.repository.ts';
import { mailReset } from '../passwords/request-password-reset.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { forgetTotp } from '../second-factors/disable-totp.ts';
import { type EndSessionsDeps, endSessions } from '../sessions/end-sessions.ts';
import type { Account } from './account.entity.ts';
import { canonicalEmail } from './email.ts';
import { takeAddress } from './take-address.ts';

export type SecureAccountDeps = NoticeDeps &
  EndSessionsDeps &
  RevokeKeysDeps & {
    database: SqlDatabase;
    passwordHistory: number;
    /** Forgets a passkey of an account. */
    forgetPasskey(em: EntityManager, accountId: string, passkeyId: string): Promise<void>;
  };

/**
 * Takes an account back for the reader of a notice (E06): what the notice told of is undone, every
 * session and API key ends, the password stops working, and a link to set a new one is mailed.
 *
 * Every token that was mailed after the notice becomes void, since a thief may have got it: also the
 * one that would undo this. Those of earlier notices stay, since they went to the rightful owner.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`.
 */
export async function secureAccount(
  deps: SecureAccountDeps,
  caller: Caller,
  token: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(
    (em) => secure(em, deps, caller, token),
    caller.signal,
  );
  afterCommit();
  deps.outbox.wake();
}

async function secure(
  em: EntityManager,
  deps: SecureAccountDeps,
  caller: Caller,
  token: string,
): Promise<() => void> {
  const now = deps.clock.now();
  const used = await consumeOneTimeToken(em, deps, token, 'secure_account');
  const { account, createdAt } = used;
  const undo = used.details.undo ?? {};
  await oneTimeTokensIn(em).voidSince(account.id, createdAt, now);
  await passwordHistoryIn(em).retire(account.id, deps.passwordHistory, now);
  const { email: before } = account;
  await restore(em, deps, account, undo);
  const { email: after } = account;
  recordAudit(em, deps, caller, {
    type: 'account.secured',
    actor: account.id,
    subject: account.id,
    details: { undone: Object.keys(undo) },
    ...(before !== after && {
      personal: { before: { email: before }, after: { email: after } },
    }),
  });
  await mailReset(em, deps, account);
  const cause = 'account_secured';
  const endTokens = await endSessions(em, deps, caller, account.id, cause);
  // A thief may have made some of them.
  const theirKeys = { ownerId: account.id, actorId: account.id, cause } as const;
  const endKeys = await revokeKeys(em, deps, caller, theirKeys);
  return () => {
    endTokens();
    endKeys();
  };
}

async function restore(
  em: EntityManager,
  deps: SecureAccountDeps,
  account: Account,
  undo: Undo,
): Promise<void> {
  account.updatedAt = deps.clock.now();
  if (undo.email !== undefined && canonicalEmail(undo.email) !== account.canonicalEmail) {
    await takeAddress(em, account, undo.email, deps.clock.now());
  }
  if (undo.totp) await forgetTotp(em, account.id);
  if (undo.passkey !== undefined) await deps.forgetPasskey(em, account.id, undo.passkey);
}
