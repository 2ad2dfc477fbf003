import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, NEW_PASSWORD, signedIn, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import { register, startPasskeyService } from '../passkeys/people.ts';
import { reset } from '../passwords/reset.ts';
import { Peer } from './peer.ts';
import { addProviders, federatedLogin, federatedTokens, linkVisit, newcomer } from './people.ts';

let service: Service;
let peer: Peer;

before(async () => {
  peer = await Peer.start();
  service = await startPasskeyService();
  addProviders(service, [peer.settings()]);
});

/** A person without a password, who has one identity. */
async function federated(at = service) {
  const { email, sub } = newcomer(peer);
  const tokens = await federatedTokens(service, peer, sub);
  const account = accountOf(at, tokens);
  const [identity] = (await account.listIdentities({})).identities;
  return { email, sub, tokens, account, identityId: identity?.identityId ?? '' };
}

describe('UnlinkIdentity', () => {
  it('removes an identity, which then is as unknown as before, and tells the owner', async () => {
    const { email, accessToken } = await signedIn(service);
    const account = accountOf(service, { accessToken });
    const sub = peer.person({ email, email_verified: true });
    const { identity } = await account.finishIdentityLink(await linkVisit(account, peer, sub));
    const identityId = identity?.identityId ?? '';
    const stranger = accountOf(service, await signedIn(service));
    assert.equal((await refusal(stranger.unlinkIdentity({ identityId }))).reason, 'NOT_FOUND');
    await account.unlinkIdentity({ identityId });
    await service.mail.next(email, /A way to sign in was removed/);
    const refused = await refusal(federatedLogin(service, peer, sub));
    assert.equal(refused.reason, 'IDENTITY_LINK_REQUIRED');
    assert.equal((await refusal(account.unlinkIdentity({ identityId }))).reason, 'NOT_FOUND');
    const unknown = account.unlinkIdentity({ identityId: UNKNOWN_ID });
    assert.equal((await refusal(unknown)).reason, 'NOT_FOUND');
  });

  it('leaves the last way in, until a reset mail has given the account a password', async () => {
    const { email, account, sub, identityId } = await federated();
    assert.equal((await refusal(account.unlinkIdentity({ identityId }))).reason, 'LAST_CREDENTIAL');
    await service.auth.requestPasswordReset({ email });
    await reset(
      service,
      tokenIn(await service.mail.next(email, /Set a new password/)) ?? '',
      NEW_PASSWORD,
    );
    const again = accountOf(service, await federatedTokens(service, peer, sub));
    await again.unlinkIdentity({ identityId });
  });

  it('leaves one of a passkey and an identity, whichever order they are removed in', async () => {
    const { account, tokens, identityId } = await federated();
    const passkeyId = await register(service, tokens, new Authenticator());
    await account.unlinkIdentity({ identityId });
    assert.equal((await refusal(account.deletePasskey({ passkeyId }))).reason, 'LAST_CREDENTIAL');
    const other = await federated();
    const key = await register(service, other.tokens, new Authenticator());
    await other.account.deletePasskey({ passkeyId: key });
    const last = other.account.unlinkIdentity({ identityId: other.identityId });
    assert.equal((await refusal(last)).reason, 'LAST_CREDENTIAL');
  });

  it('leaves one way in to callers on two replicas who remove both at once', async () => {
    const replica = await startReplica(service);
    addProviders(replica, [peer.settings()]);
    for (let i = 0; i < 5; i += 1) {
      const { account, tokens, identityId } = await federated();
      const passkeyId = await register(service, tokens, new Authenticator());
      const outcomes = await Promise.allSettled([
        account.unlinkIdentity({ identityId }),
        accountOf(replica, tokens).deletePasskey({ passkeyId }),
      ]);
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    }
  });

  it('counts no identity of a provider that is not configured any more', async () => {
    const { account, tokens } = await federated();
    const passkeyId = await register(service, tokens, new Authenticator());
    addProviders(service, []);
    const refused = await refusal(account.deletePasskey({ passkeyId }));
    addProviders(service, [peer.settings()]);
    assert.equal(refused.reason, 'LAST_CREDENTIAL');
    await account.deletePasskey({ passkeyId });
  });
});
