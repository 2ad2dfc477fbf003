import { LockMode } from '@mikro-orm/core';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { RelyingParty } from '../passkeys/relying-party.ts';
import { checkOwnPassword } from '../passwords/check-own-password.ts';
import type { PasswordHasher } from '../passwords/password-hasher.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Session } from '../sessions/session.entity.ts';
import { sessionsIn } from '../sessions/session.repository.ts';
import type { AccessToken, TokenIssuer, TokenSettings } from '../sessions/token-issuer.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { proofsTogether, provesSecondFactor } from './amr.ts';
import { invalidCredentials } from './refusals.ts';
import { checkSecondFactor, type SecondFactor, secondFactorRefused } from './second-factor.ts';

/** As long as a challenge of `CompleteMfa` waits for its second factor. */
const COMPLETED_WITHIN_MS = 10 * 60_000;

export type Proof = { kind: 'password'; password: string } | SecondFactor;

export type FreshToken = AccessToken & { sessionId: string };

/**
 * Lets callers prove again who they are, and notes in their session when and how, so that methods that
 * require a recent sign-in accept them (C10). What was proved before no longer counts, unless it was one
 * factor a moment ago and this is the other. The session's refresh token stays as it is.
 *
 * Throws `INVALID_CREDENTIALS`, `MFA_CODE_INVALID`, `ACCOUNT_LOCKED`.
 */
export async function reauthenticate(
  needs: {
    database: Database;
    keyring: Keyring;
    passwords: PasswordHasher;
    relyingParty: RelyingParty;
    tokens: TokenSettings;
    tokenIssuer: TokenIssuer;
  },
  caller: Caller,
  proof: Proof,
): Promise<FreshToken> {
  if (proof.kind === 'password') {
    const matched = await checkOwnPassword(needs, caller, proof.password);
    if (matched === undefined) throw invalidCredentials();
  }
  return needs.database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    const proved = await prove(tx, needs, account, proof);
    const session = await lockOwnSession(tx, needs.tokens.sessionIdleTtlMs);
    const isCompleted = isCompletedBy(session, proved, tx.now);
    session.amr = isCompleted ? proofsTogether(session.amr, proved) : proved;
    // A provider has vouched for what was proved before only.
    if (!isCompleted) session.idp = null;
    session.authTime = tx.now;
    tx.audit({
      type: 'session.reauthenticated',
      subject: account.id,
      details: { session_id: session.id, amr: proved },
    });
    const token = await needs.tokenIssuer.issueAccessToken({
      sessionId: session.id,
      accountId: account.id,
      roles: account.roles,
      tokenVersion: account.tokenVersion,
      emailVerified: account.isVerified,
      amr: session.amr,
      idp: session.idp ?? null,
      authTime: tx.now,
      expiresAt: session.expiresAt,
    });
    return { ...token, sessionId: session.id };
  });
}

/** Checks the proof, unless it is a password, which has been checked. Returns its `amr` (RFC 8176). */
async function prove(
  tx: Transaction,
  needs: { keyring: Keyring; relyingParty: RelyingParty },
  account: Account,
  proof: Proof,
): Promise<string[]> {
  if (proof.kind === 'password') return ['pwd'];
  const proved = await checkSecondFactor(tx, needs, account, proof);
  if (proved) return proved;
  const failure = secondFactorRefused(proof);
  const { reason } = failure;
  tx.audit({ type: 'account.code_refused', subject: account.id, outcome: 'failure', reason });
  throw tx.refusal(failure);
}

/** Whether a proof makes one factor, proved a moment ago, into two. */
function isCompletedBy({ amr, authTime }: Session, proved: readonly string[], now: Date): boolean {
  const isRecent = now.getTime() - authTime.getTime() <= COMPLETED_WITHIN_MS;
  const isOther = provesSecondFactor(amr) !== provesSecondFactor(proved);
  return isRecent && isOther && !amr.includes('mfa');
}

/** The caller's session, locked until the transaction ends. Throws `TOKEN_REVOKED` if it has ended. */
async function lockOwnSession(
  { em, caller, now }: Transaction,
  idleTtlMs: number,
): Promise<Session> {
  const session = await sessionsIn(em).findOne(
    { id: caller.sessionId, account: caller.subject },
    { lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  if (session?.isLive(now, idleTtlMs)) return session;
  throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the session has ended; sign in again');
}
