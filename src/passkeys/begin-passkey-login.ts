import { generateAuthenticationOptions } from '@simplewebauthn/server';
import { readOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { PasskeyOptions } from './begin-passkey-registration.ts';
import { CHALLENGE_TTL_MS, issueChallenge } from './challenge.ts';
import { passkeysIn } from './passkey.repository.ts';
import type { RelyingParty } from './relying-party.ts';

/**
 * Returns the options for a sign-in by passkey: with the token of a sign-in's challenge, for the
 * passkeys of its account; with an empty one, for any passkey that the person chooses, without asking
 * the database. Nothing is stored.
 *
 * Throws `TOKEN_INVALID` or `TOKEN_EXPIRED` for the token.
 */
export async function beginPasskeyLogin(
  needs: { database: Database; clock: Clock; keyring: Keyring; relyingParty: RelyingParty },
  caller: Caller,
  challengeToken: string,
): Promise<PasskeyOptions> {
  const { clock, keyring, relyingParty } = needs;
  const owner = challengeToken === '' ? undefined : await ownerOf(needs, caller, challengeToken);
  const use = { purpose: 'authentication', accountId: owner?.accountId } as const;
  const { bytes, expiresAt } = issueChallenge(keyring, use, clock.now());
  const options = await generateAuthenticationOptions({
    rpID: relyingParty.id,
    challenge: bytes,
    timeout: CHALLENGE_TTL_MS,
    userVerification: 'required',
    ...(owner ? { allowCredentials: owner.credentials } : {}),
  });
  return { optionsJson: JSON.stringify(options), expiresAt };
}

async function ownerOf(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  challengeToken: string,
) {
  return database.read(caller, async (em, now) => {
    const at = { em, now };
    const { accountId } = await readOneTimeToken(at, keyring, challengeToken, 'mfa_challenge');
    const passkeys = await passkeysIn(em).listOf(accountId);
    return { accountId, credentials: passkeys.map(({ credentialId: id }) => ({ id })) };
  });
}
