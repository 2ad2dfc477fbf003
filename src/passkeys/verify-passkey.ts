import {
  type AuthenticationResponseJSON,
  verifyAuthenticationResponse,
} from '@simplewebauthn/server';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { packUuid } from '../platform/crypto.ts';
import type { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type ChallengeDeps, readChallenge } from './challenge.ts';
import { type Answer, readAuthentication } from './credential-json.ts';
import { Passkey } from './passkey.entity.ts';
import { passkeysIn } from './passkey.repository.ts';
import { passkeyRefused } from './passkey-refused.ts';
import type { RelyingParty } from './relying-party.ts';
import { type Challenge, usedChallengesIn } from './used-challenge.repository.ts';

export type VerifyPasskeyDeps = ChallengeDeps & { relyingParty: RelyingParty };

export type PasskeyProof = {
  /** What `navigator.credentials.get` gave, as JSON. */
  credentialJson: string;
  /** Whose passkey it has to be. Undefined: that of whoever signs in. */
  accountId?: string;
};

/** `account` is locked; `amr` is by RFC 8176. */
export type VerifiedPasskey = { account: Account; passkeyId: string; amr: string[] };

/** `accountId` is whose passkey it seemed to be, for the audit. */
export type RefusedPasskey = { refused: Failure; accountId: string | undefined };

/**
 * Verifies a passkey's answer to a challenge of ours (WebAuthn section 7.2) in the transaction of
 * `em`, which then has the account locked, the challenge used up (C06) and the passkey's counter
 * noted. The account may be suspended or unverified.
 *
 * A refusal is returned, `MFA_CODE_INVALID` as `unauthenticated` whatever is wrong: return it from the
 * transaction and throw it afterwards, since a counter that went backwards leaves a trace. Any other
 * refusal has written nothing.
 */
export async function verifyPasskey(
  em: EntityManager,
  deps: VerifyPasskeyDeps,
  caller: Caller,
  proof: PasskeyProof,
): Promise<VerifiedPasskey | RefusedPasskey> {
  const answer = readAuthentication(proof.credentialJson);
  const owner = answer && (await passkeysIn(em).findOwner(answer.response.id));
  const refused = { refused: passkeyRefused(), accountId: owner };
  if (!answer || !owner) return refused;
  if (proof.accountId !== undefined && proof.accountId !== owner) return refused;
  const challenge = challengeFor(deps, answer, owner);
  if (!challenge) return refused;
  const account = await accountsIn(em).lockLive({ id: owner });
  const credentialId = answer.response.id;
  // Only now: it may have been deleted before the account was locked.
  const passkey = account && (await em.findOne(Passkey, { credentialId, account: owner }));
  const counter = passkey && (await signedCounter(deps, passkey, answer));
  if (!account || !passkey || counter === undefined || counter === null) return refused;
  if (!(await usedChallengesIn(em).use(challenge))) return refused;
  if (passkey.counter > 0 && counter <= passkey.counter) {
    recordReversal(em, deps, caller, passkey, counter);
    return refused;
  }
  passkey.counter = counter;
  passkey.lastUsedAt = deps.clock.now();
  return { account, passkeyId: passkey.id, amr: [passkey.synced ? 'swk' : 'hwk', 'user', 'mfa'] };
}

/** The challenge that was answered, where the owner of the passkey was to answer it. */
function challengeFor(
  deps: VerifyPasskeyDeps,
  { response, challenge }: Answer<AuthenticationResponseJSON>,
  owner: string,
): Challenge | undefined {
  const { userHandle } = response.response;
  if (userHandle !== undefined && userHandle !== packUuid(owner)) return undefined;
  const forOwner = readChallenge(deps, challenge, { purpose: 'authentication', accountId: owner });
  // Who is not asked for one of their credentials has to say whose this one is: section 7.2, step 6.
  if (forOwner || userHandle === undefined) return forOwner;
  return readChallenge(deps, challenge, { purpose: 'authentication', accountId: undefined });
}

/** The counter that a right answer carries. Undefined where the answer is not right. */
async function signedCounter(
  { relyingParty }: VerifyPasskeyDeps,
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
      // The library compares counters before signatures: ours are compared afterwards.
      credential: {
        id: passkey.credentialId,
        publicKey: new Uint8Array(passkey.publicKey),
        counter: 0,
      },
    });
    const synced = authenticationInfo.credentialDeviceType === 'multiDevice';
    // Whether it may leave its device is settled at registration: section 7.2, step 19.
    return verified && synced === passkey.synced ? authenticationInfo.newCounter : undefined;
  } catch {
    // The library throws at everything that is not right; it touches nothing but its arguments.
    return undefined;
  }
}

/** Two authenticators hold the key, and one of them was not given it by its owner. */
function recordReversal(
  em: EntityManager,
  deps: VerifyPasskeyDeps,
  caller: Caller,
  passkey: Passkey,
  counter: number,
): void {
  recordAudit(em, deps, caller, {
    type: 'passkey.counter_reversed',
    subject: passkey.account as string,
    outcome: 'failure',
    reason: 'MFA_CODE_INVALID',
    details: { passkey_id: passkey.id, known_counter: passkey.counter, counter },
  });
}
