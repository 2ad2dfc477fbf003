import { generateAuthenticationOptions } from '@simplewebauthn/server';
import { readOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { BeginPasskeyDeps, PasskeyOptions } from './begin-passkey-registration.ts';
import { CHALLENGE_TTL_MS, issueChallenge } from './challenge.ts';
import { passkeysIn } from './passkey.repository.ts';

/**
 * Options for a sign-in by passkey. With the token of a sign-in's challenge, for the passkeys of its
 * account; with an empty one, for whichever the person chooses: that asks nothing of the database.
 * Nothing is stored.
 *
 * Throws `TOKEN_INVALID` or `TOKEN_EXPIRED` for the token.
 */
export async function beginPasskeyLogin(
  deps: BeginPasskeyDeps,
  caller: Caller,
  challengeToken: string,
): Promise<PasskeyOptions> {
  const owner = challengeToken === '' ? undefined : await ownerOf(deps, caller, challengeToken);
  const use = { purpose: 'authentication', accountId: owner?.accountId } as const;
  const { bytes, expiresAt } = issueChallenge(deps, use);
  const options = await generateAuthenticationOptions({
    rpID: deps.relyingParty.id,
    challenge: bytes,
    timeout: CHALLENGE_TTL_MS,
    userVerification: 'required',
    ...(owner ? { allowCredentials: owner.credentials } : {}),
  });
  return { optionsJson: JSON.stringify(options), expiresAt };
}

async function ownerOf(deps: BeginPasskeyDeps, caller: Caller, challengeToken: string) {
  return deps.database.read(async (em) => {
    const { accountId } = await readOneTimeToken(em, deps, challengeToken, 'mfa_challenge');
    const passkeys = await passkeysIn(em).listOf(accountId);
    return { accountId, credentials: passkeys.map(({ credentialId: id }) => ({ id })) };
  }, caller.signal);
}
