import { generateRegistrationOptions } from '@simplewebauthn/server';
import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { packUuid } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { CHALLENGE_TTL_MS, type ChallengeDeps, issueChallenge } from './challenge.ts';
import { MAX_PASSKEYS, passkeysIn } from './passkey.repository.ts';
import type { RelyingParty } from './relying-party.ts';
import { ALGORITHMS } from './verify-registration.ts';

export type BeginPasskeyDeps = ChallengeDeps & {
  database: SqlDatabase;
  relyingParty: RelyingParty;
};

/** What the browser is to be asked, as JSON, and until when the answer is taken. */
export type PasskeyOptions = { optionsJson: string; expiresAt: Date };

/**
 * Options for a new passkey of an account: one that is kept on the authenticator and verifies its
 * user, and not on an authenticator that has one of the account's already. Nothing is stored.
 *
 * Throws `TOO_MANY` where the account has 20.
 */
export async function beginPasskeyRegistration(
  deps: BeginPasskeyDeps,
  caller: Caller,
  accountId: string,
): Promise<PasskeyOptions> {
  const { account, passkeys } = await deps.database.read(async (em) => {
    const account = await accountsIn(em).findOne({ id: accountId, state: { $ne: 'deleted' } });
    return { account, passkeys: await passkeysIn(em).listOf(accountId) };
  }, caller.signal);
  if (!account) throw accountGone();
  if (passkeys.length >= MAX_PASSKEYS) throw tooManyPasskeys();
  const { bytes, expiresAt } = issueChallenge(deps, { purpose: 'registration', accountId });
  const options = await generateRegistrationOptions({
    rpID: deps.relyingParty.id,
    rpName: deps.relyingParty.name,
    userID: userHandle(accountId),
    userName: account.email,
    userDisplayName: account.displayName || account.email,
    challenge: bytes,
    timeout: CHALLENGE_TTL_MS,
    attestationType: 'none',
    excludeCredentials: passkeys.map(({ credentialId }) => ({ id: credentialId })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: ALGORITHMS,
  });
  return { optionsJson: JSON.stringify(options), expiresAt };
}

/** What authenticators know the account by: it tells nothing about the person (section 14.6.1). */
function userHandle(accountId: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(packUuid(accountId), 'base64url'));
}

export function tooManyPasskeys(): Failure {
  const message = `the account has ${MAX_PASSKEYS} passkeys, which is as many as it may have`;
  return new Failure('precondition', 'TOO_MANY', message);
}

/** The account ended while its access token was still good. */
export function accountGone(): Failure {
  return new Failure('unauthenticated', 'TOKEN_REVOKED', 'the account has been deleted');
}
