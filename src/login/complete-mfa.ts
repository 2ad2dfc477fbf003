import { accountsIn } from '../accounts/account.repository.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import {
  consumeOneTimeToken,
  invalidToken,
  readOneTimeToken,
} from '../one-time-tokens/one-time-token.ts';
import type { RelyingParty } from '../passkeys/relying-party.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { IssuedTokens, TokenIssuer } from '../sessions/token-issuer.ts';
import type { Database } from '../unit-of-work/database.ts';
import { proofsTogether } from './amr.ts';
import { completeSignIn } from './complete-sign-in.ts';
import { notAdmitted, refuseSignIn } from './refusals.ts';
import { checkSecondFactor, type SecondFactor, secondFactorRefused } from './second-factor.ts';
import { lockForSignIn } from './sign-in-state.ts';

export type CompleteMfa = { challengeToken: string; factor: SecondFactor };

/**
 * Completes a sign-in that began with a correct password or at a provider, by a second factor. Only a completed sign-in
 * uses the challenge up: of several calls at once, exactly one opens a session.
 *
 * Wrong codes count for the account, whatever the challenge (C09). Throws `TOKEN_INVALID`,
 * `TOKEN_EXPIRED`, `MFA_CODE_INVALID`, `ACCOUNT_SUSPENDED`, `EMAIL_NOT_VERIFIED`.
 */
export async function completeMfa(
  needs: {
    database: Database;
    keyring: Keyring;
    relyingParty: RelyingParty;
    tokenIssuer: TokenIssuer;
    auditQueue: AuditQueue;
    requireVerifiedEmail: boolean;
  },
  caller: Caller,
  { challengeToken, factor }: CompleteMfa,
): Promise<IssuedTokens> {
  const { database, keyring, auditQueue, requireVerifiedEmail } = needs;
  const purpose = 'mfa_challenge';
  return database.transaction(caller, async (tx) => {
    const { accountId } = await readOneTimeToken(tx, keyring, challengeToken, purpose);
    const account = await accountsIn(tx.em).lockLive({ id: accountId });
    if (!account) throw invalidToken(purpose);
    const failure = notAdmitted(account, requireVerifiedEmail);
    if (failure) throw refuseSignIn(tx, auditQueue, failure, accountId);
    const proved = await checkSecondFactor(tx, needs, account, factor);
    if (!proved) throw refuseSignIn(tx, auditQueue, secondFactorRefused(factor), accountId);
    const { details } = await consumeOneTimeToken(tx, keyring, challengeToken, purpose);
    const deviceLabel = details.deviceLabel ?? '';
    const state = await lockForSignIn(tx.em, accountId, { ...caller, deviceLabel });
    const isNewDevice = state?.isNewDevice === true;
    // Challenges that an earlier version issued follow a password.
    const amr = proofsTogether(details.amr ?? ['pwd'], proved);
    // A sign-in is as recent as the older of its two proofs (C10).
    const provedAt = details.provedAt === undefined ? tx.now : new Date(details.provedAt);
    const signIn = { account, amr, idp: details.idp, provedAt, deviceLabel, isNewDevice };
    return completeSignIn(tx, needs, signIn);
  });
}
