import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accountOf, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { Peer, REDIRECT } from './peer.ts';
import { newcomer, startFederatedService, visited } from './people.ts';

describe('StartIdentityLink', () => {
  it('F01 begins a flow that no sign-in finishes, as no link finishes that of a sign-in', async () => {
    const peer = await Peer.start();
    const service = await startFederatedService([peer.settings()]);
    const account = accountOf(service, await signedIn(service));
    const { sub } = newcomer(peer);
    const link = { provider: 'peer', redirectUri: REDIRECT };
    const { authorizationUrl, loginToken } = await account.startIdentityLink(link);
    const answer = { loginToken, ...(await peer.visit(authorizationUrl, sub)) };
    const refused = await refusal(service.auth.finishFederatedLogin(answer));
    assert.deepEqual([refused.reason, refused.fields], ['TOKEN_INVALID', ['login_token']]);
    const signIn = await visited(service, peer, sub);
    assert.equal((await refusal(account.finishIdentityLink(signIn))).reason, 'TOKEN_INVALID');
    const other = account.startIdentityLink({ ...link, redirectUri: `${REDIRECT}/x` });
    assert.deepEqual((await refusal(other)).fields, ['redirect_uri']);
  });
});
