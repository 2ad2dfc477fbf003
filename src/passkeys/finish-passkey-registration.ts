import { v7 as uuidv7 } from 'uuid';
import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { readChallenge } from './challenge.ts';
import { readRegistration } from './credential-json.ts';
import type { Passkey } from './passkey.entity.ts';
import { MAX_PASSKEYS, passkeysIn, tooManyPasskeys } from './passkey.repository.ts';
import { registrationRefused } from './passkey-refused.ts';
import type { RelyingParty } from './relying-party.ts';
import { type Challenge, usedChallengesIn } from './used-challenge.repository.ts';
import { type RegisteredCredential, verifyRegistration } from './verify-registration.ts';

export type NewPasskey = { credentialJson: string; displayName: string };

/**
 * Registers a passkey by an authenticator's answer to one of the caller's challenges, and tells the
 * owner by mail (E06). The answer works once (C06).
 *
 * Throws `MFA_CODE_INVALID` (invalid) for a wrong answer and for a credential that is registered
 * already, and `TOO_MANY` if the account has 20.
 */
export async function finishPasskeyRegistration(
  needs: { database: Database; clock: Clock; keyring: Keyring; relyingParty: RelyingParty },
  caller: Caller,
  { credentialJson, displayName }: NewPasskey,
): Promise<Passkey> {
  const { database, clock, keyring, relyingParty } = needs;
  const answer = readRegistration(credentialJson);
  const use = { purpose: 'registration', accountId: caller.subject } as const;
  const challenge = answer && readChallenge(keyring, answer.challenge, use, clock.now());
  if (!challenge) throw registrationRefused();
  const credential = await verifyRegistration(relyingParty, answer.response, answer.challenge);
  if (!credential) throw registrationRefused();
  return database.transaction(caller, (tx) =>
    add(tx, keyring, { challenge, credential, displayName }),
  );
}

type Addition = { challenge: Challenge; credential: RegisteredCredential; displayName: string };

async function add(
  tx: Transaction,
  keyring: Keyring,
  { challenge, credential, displayName }: Addition,
): Promise<Passkey> {
  const account = await accountsIn(tx.em).lockOwn(tx.caller);
  if (!(await usedChallengesIn(tx.em).use(challenge.hash, challenge.expiresAt)))
    throw registrationRefused();
  const passkeys = passkeysIn(tx.em);
  if ((await passkeys.count({ account: account.id })) >= MAX_PASSKEYS) throw tooManyPasskeys();
  const id = uuidv7();
  const passkey = { id, account: account.id, ...credential, displayName, createdAt: tx.now };
  if (!(await passkeys.insertNew(passkey))) throw registrationRefused();
  tx.audit({
    type: 'passkey.added',
    subject: account.id,
    details: { passkey_id: id, synced: credential.synced },
  });
  const notice = { template: 'passkey_added', passkeyName: displayName } as const;
  await sendNotice(tx, keyring, account, notice, { undo: { passkey: id } });
  return passkeys.findOneOrFail(id);
}
