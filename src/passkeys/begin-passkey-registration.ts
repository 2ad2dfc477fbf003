import { generateRegistrationOptions } from '@simplewebauthn/server';
import { accountGone, accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { type Keyring, packUuid } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { CHALLENGE_TTL_MS, issueChallenge } from './challenge.ts';
import { MAX_PASSKEYS, passkeysIn, tooManyPasskeys } from './passkey.repository.ts';
import type { RelyingParty } from './relying-party.ts';
import { ALGORITHMS } from './verify-registration.ts';

/** What to ask of the browser, as JSON, and until when its answer is accepted. */
export type PasskeyOptions = { optionsJson: string; expiresAt: Date };

/**
 * Returns the options for a new passkey of the caller: one that the authenticator keeps and verifies
 * its user for, on an authenticator without a passkey of the account. Nothing is stored.
 *
 * Throws `TOO_MANY` if the account has 20.
 */
export async function beginPasskeyRegistration(
  needs: { database: Database; keyring: Keyring; relyingParty: RelyingParty },
  caller: Caller,
): Promise<PasskeyOptions> {
  const { database, keyring, relyingParty } = needs;
  const { subject: accountId } = caller;
  const { account, passkeys, now } = await database.read(caller, async (em, now) => {
    const account = await accountsIn(em).findLive({ id: accountId });
    return { account, passkeys: await passkeysIn(em).listOf(accountId), now };
  });
  if (!account) throw accountGone();
  if (passkeys.length >= MAX_PASSKEYS) throw tooManyPasskeys();
  const use = { purpose: 'registration', accountId } as const;
  const { bytes, expiresAt } = issueChallenge(keyring, use, now);
  const options = await generateRegistrationOptions({
    rpID: relyingParty.id,
    rpName: relyingParty.name,
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

/** By which authenticators know the account; it reveals nothing about the person (section 14.6.1). */
function userHandle(accountId: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(packUuid(accountId), 'base64url'));
}
