import {
  type AuthenticationResponseJSON,
  verifyAuthenticationResponse,
} from '@simplewebauthn/server';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { type Keyring, packUuid } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { readChallenge } from './challenge.ts';
import { type Answer, readAuthentication } from './credential-json.ts';
import type { Passkey } from './passkey.entity.ts';
import { passkeysIn } from './passkey.repository.ts';
import type { RelyingParty } from './relying-party.ts';
import { type Challenge, usedChallengesIn } from './used-challenge.repository.ts';

/** An authenticator's answer, and the account whose passkey it names. Nothing is verified. */
export type PasskeyClaim = { answer: Answer<AuthenticationResponseJSON>; owner: string };

/** `account` is locked; `amr` is by RFC 8176. */
export type VerifiedPasskey = { account: Account; amr: string[] };

/**
 * Reads what `navigator.credentials.get` returned, as JSON, and finds whose passkey it names. Undefined
 * if it is malformed or no account has the passkey.
 */
export async function readPasskeyClaim(
  em: EntityManager,
  credentialJson: string,
): Promise<PasskeyClaim | undefined> {
  const answer = readAuthentication(credentialJson);
  const owner = answer && (await passkeysIn(em).findOwner(answer.response.id));
  return answer && owner ? { answer, owner } : undefined;
}

/**
 * Verifies a passkey's answer to a challenge of ours (WebAuthn section 7.2), locks the account, uses
 * the challenge up (C06) and stores the passkey's counter. The account may be suspended or unverified.
 *
 * Returns undefined if anything is wrong. Refuse the call by `tx.refusal` then: a counter that went
 * backwards leaves an audit event.
 */
export async function verifyPasskey(
  tx: Transaction,
  { keyring, relyingParty }: { keyring: Keyring; relyingParty: RelyingParty },
  { answer, owner }: PasskeyClaim,
): Promise<VerifiedPasskey | undefined> {
  const challenge = answeredChallenge(tx.now, keyring, answer, owner);
  if (!challenge) return undefined;
  const account = await accountsIn(tx.em).lockLive({ id: owner });
  const credentialId = answer.response.id;
  // Read only now: it may have been deleted before the account was locked.
  const passkey = account && (await passkeysIn(tx.em).findOne({ credentialId, account: owner }));
  const counter = passkey && (await signedCounter(relyingParty, passkey, answer));
  if (!account || !passkey || counter === undefined || counter === null) return undefined;
  if (!(await usedChallengesIn(tx.em).use(challenge.hash, challenge.expiresAt))) return undefined;
  if (passkey.counter > 0 && counter <= passkey.counter) {
    auditReversal(tx, passkey, owner, counter);
    return undefined;
  }
  passkey.counter = counter;
  passkey.lastUsedAt = tx.now;
  return { account, amr: [passkey.synced ? 'swk' : 'hwk', 'user', 'mfa'] };
}

/** The challenge that was answered, if it was meant for the owner of the passkey. */
function answeredChallenge(
  now: Date,
  keyring: Keyring,
  { response, challenge }: Answer<AuthenticationResponseJSON>,
  owner: string,
): Challenge | undefined {
  const { userHandle } = response.response;
  if (userHandle !== undefined && userHandle !== packUuid(owner)) return undefined;
  const read = (accountId: string | undefined) =>
    readChallenge(keyring, challenge, { purpose: 'authentication', accountId }, now);
  // An answer to an open challenge has to say whose passkey it comes from: section 7.2, step 6.
  return read(owner) ?? (userHandle === undefined ? undefined : read(undefined));
}

/** The counter that a correct answer carries. Undefined if the answer is not correct. */
async function signedCounter(
  relyingParty: RelyingParty,
  passkey: Passkey,
  { response, challenge }: Answer<AuthenticationResponseJSON>,
): Promise<number | undefined> {
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...relyingParty.origins],
      expectedRPID: relyingParty.id,
      requireUserVerification: true,
      // The library compares counters before it checks the signature; we compare them afterwards.
      credential: {
        id: passkey.credentialId,
        publicKey: new Uint8Array(passkey.publicKey),
        counter: 0,
      },
    });
    const synced = authenticationInfo.credentialDeviceType === 'multiDevice';
    // Registration settles whether a passkey may leave its device: section 7.2, step 19.
    return verified && synced === passkey.synced ? authenticationInfo.newCounter : undefined;
  } catch {
    // The library throws for every wrong answer. It touches nothing but its arguments.
    return undefined;
  }
}

/** Two authenticators hold the key, and the owner gave it to only one of them. */
function auditReversal(tx: Transaction, passkey: Passkey, owner: string, counter: number): void {
  tx.audit({
    type: 'passkey.counter_reversed',
    actor: null,
    subject: owner,
    outcome: 'failure',
    reason: 'MFA_CODE_INVALID',
    details: { passkey_id: passkey.id, known_counter: passkey.counter, counter },
  });
}
