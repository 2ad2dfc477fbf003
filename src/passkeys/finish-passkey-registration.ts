import { v7 as uuidv7 } from 'uuid';
import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import {
  accountGone,
  type BeginPasskeyDeps,
  tooManyPasskeys,
} from './begin-passkey-registration.ts';
import { readChallenge } from './challenge.ts';
import { readRegistration } from './credential-json.ts';
import type { Passkey } from './passkey.entity.ts';
import { MAX_PASSKEYS, passkeysIn } from './passkey.repository.ts';
import { registrationRefused } from './passkey-refused.ts';
import { type Challenge, usedChallengesIn } from './used-challenge.repository.ts';
import { type RegisteredCredential, verifyRegistration } from './verify-registration.ts';

export type FinishPasskeyRegistrationDeps = BeginPasskeyDeps & NoticeDeps;

export type NewPasskey = { credentialJson: string; displayName: string };

/**
 * Registers a passkey by an authenticator's answer to one of the account's challenges, and tells the
 * owner by mail (E06). The answer works once (C06).
 *
 * Throws `MFA_CODE_INVALID` (invalid) for an answer that is not right, and for a credential that is
 * registered already; `TOO_MANY` where the account has 20.
 */
export async function finishPasskeyRegistration(
  deps: FinishPasskeyRegistrationDeps,
  caller: Caller,
  accountId: string,
  { credentialJson, displayName }: NewPasskey,
): Promise<Passkey> {
  const answer = readRegistration(credentialJson);
  const challenge =
    answer && readChallenge(deps, answer.challenge, { purpose: 'registration', accountId });
  if (!challenge) throw registrationRefused();
  const { response } = answer;
  const credential = await verifyRegistration(deps.relyingParty, response, answer.challenge);
  if (!credential) throw registrationRefused();
  return deps.database.transaction(
    (em) => add(em, deps, caller, { accountId, challenge, credential, displayName }),
    caller.signal,
  );
}

type Addition = {
  accountId: string;
  challenge: Challenge;
  credential: RegisteredCredential;
  displayName: string;
};

async function add(
  em: EntityManager,
  deps: FinishPasskeyRegistrationDeps,
  caller: Caller,
  { accountId, challenge, credential, displayName }: Addition,
): Promise<Passkey> {
  const account = await accountsIn(em).lockLive({ id: accountId });
  if (!account) throw accountGone();
  if (!(await usedChallengesIn(em).use(challenge))) throw registrationRefused();
  const passkeys = passkeysIn(em);
  if ((await passkeys.count({ account: accountId })) >= MAX_PASSKEYS) throw tooManyPasskeys();
  const id = uuidv7();
  const createdAt = deps.clock.now();
  const passkey = { id, account: accountId, ...credential, displayName, createdAt };
  if (!(await passkeys.insertNew(passkey))) throw registrationRefused();
  recordAudit(em, deps, caller, {
    type: 'passkey.added',
    actor: accountId,
    subject: accountId,
    details: { passkey_id: id, synced: credential.synced },
  });
  const notice = { template: 'passkey_added', passkeyName: displayName } as const;
  await sendNotice(em, deps, account, notice, { undo: { passkey: id } });
  return passkeys.findOneOrFail(id);
}
