import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accountOf, signedIn } from '../harness/people.ts';
import { Peer } from './peer.ts';
import { federatedTokens, newcomer, startFederatedService } from './people.ts';

describe('ListIdentities', () => {
  it('lists those of the caller, and when each last signed in', async () => {
    const peer = await Peer.start();
    const service = await startFederatedService([peer.settings()]);
    const { email, sub } = newcomer(peer);
    const first = accountOf(service, await federatedTokens(service, peer, sub));
    const [linked] = (await first.listIdentities({})).identities;
    assert.deepEqual(
      [linked?.provider, linked?.issuer, linked?.subject, linked?.email, linked?.lastUsedAt],
      ['peer', peer.issuer, sub, email, undefined],
    );
    await federatedTokens(service, peer, sub);
    const [used] = (await first.listIdentities({})).identities;
    assert.equal(used?.identityId, linked?.identityId);
    assert.ok(used?.lastUsedAt);
    const stranger = accountOf(service, await signedIn(service));
    assert.deepEqual((await stranger.listIdentities({})).identities, []);
  });
});
