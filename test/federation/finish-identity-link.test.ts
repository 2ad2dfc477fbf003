import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, newEmail, PASSWORD, signedIn, signIn, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { Peer } from './peer.ts';
import {
  federatedLogin,
  federatedTokens,
  linkVisit,
  newcomer,
  startFederatedService,
} from './people.ts';

let service: Service;
let peer: Peer;

before(async () => {
  peer = await Peer.start();
  service = await startFederatedService([peer.settings()], { COUNTERSIGN_ACCESS_TOKEN_TTL: '1h' });
});

describe('FinishIdentityLink', () => {
  it("F02 links an identity that its account's owner proves, whatever its address", async () => {
    const owner = await signedIn(service);
    const account = accountOf(service, owner);
    const sub = peer.person({ email: newEmail() });
    const { identity } = await account.finishIdentityLink(await linkVisit(account, peer, sub));
    assert.equal(identity?.subject, sub);
    assert.equal(userIdOf(await federatedTokens(service, peer, sub)), userIdOf(owner));
    const again = await account.finishIdentityLink(await linkVisit(account, peer, sub));
    assert.equal(again.identity?.identityId, identity?.identityId);
  });

  it('F01 is finished by the session that began, and by no other', async () => {
    const owner = await signedIn(service);
    const victim = accountOf(service, await signedIn(service));
    const sameOwner = accountOf(service, await signIn(service, owner.email));
    const account = accountOf(service, owner);
    const answer = await linkVisit(account, peer, newcomer(peer).sub);
    for (const other of [victim, sameOwner]) {
      const refused = await refusal(other.finishIdentityLink(answer));
      assert.deepEqual([refused.reason, refused.fields], ['TOKEN_INVALID', ['login_token']]);
    }
    await account.finishIdentityLink(answer);
    assert.equal((await refusal(account.finishIdentityLink(answer))).reason, 'TOKEN_INVALID');
  });

  it("F02 links no identity of another account, of 16 racers' accounts one", async () => {
    const { sub } = newcomer(peer);
    await federatedTokens(service, peer, sub);
    const account = accountOf(service, await signedIn(service));
    const taken = account.finishIdentityLink(await linkVisit(account, peer, sub));
    assert.equal((await refusal(taken)).reason, 'IDENTITY_TAKEN');
    const replica = await startReplica(service);
    const wanted = newcomer(peer).sub;
    const racers = await Promise.all(
      Array.from({ length: 16 }, async (_, i) => {
        const account = accountOf(i % 2 ? service : replica, await signedIn(service));
        return { account, answer: await linkVisit(account, peer, wanted) };
      }),
    );
    const calls = racers.map(({ account, answer }) => account.finishIdentityLink(answer));
    const won = (await Promise.allSettled(calls)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
  });

  it('C14 E06 tells the owner, who takes the account back from a thief that way', async () => {
    const { email, accessToken } = await signedIn(service);
    const thief = accountOf(service, { accessToken });
    const { sub } = newcomer(peer);
    await thief.finishIdentityLink(await linkVisit(thief, peer, sub));
    const token = tokenIn(await service.mail.next(email, /Another way to sign in was added/)) ?? '';
    const late = await linkVisit(thief, peer, newcomer(peer).sub);
    await service.auth.secureAccount({ token });
    assert.equal((await refusal(thief.finishIdentityLink(late))).reason, 'TOKEN_REVOKED');
    const outcome = await federatedLogin(service, peer, sub);
    assert.ok(outcome.case === 'tokens');
    const { user } = await accountOf(service, outcome.value).getMe({});
    assert.notEqual(user?.email, email);
  });

  it('C15 leaves nothing to who linked an identity before the address was proved', async () => {
    const open = await startFederatedService([peer.settings()], {
      COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
    });
    const email = newEmail();
    await open.auth.signUp({ email, password: PASSWORD });
    const stranger = accountOf(open, await signIn(open, email));
    const { sub } = newcomer(peer);
    await stranger.finishIdentityLink(await linkVisit(stranger, peer, sub));
    const token = tokenIn(await open.mail.next(email, /Confirm/)) ?? '';
    await open.auth.verifyEmail({ token });
    const outcome = await federatedLogin(open, peer, sub);
    assert.ok(outcome.case === 'tokens');
    const { user } = await accountOf(open, outcome.value).getMe({});
    assert.notEqual(user?.email, email);
  });

  it('C10 asks for a recent sign-in to link and unlink, and a new one at the provider is one', async () => {
    const { sub } = newcomer(peer);
    const stale = accountOf(service, await federatedTokens(service, peer, sub));
    const answer = await linkVisit(stale, peer, newcomer(peer).sub);
    const [identity] = (await stale.listIdentities({})).identities;
    const identityId = identity?.identityId ?? '';
    service.clock.advance(601_000);
    for (const call of [
      stale.startIdentityLink({ provider: 'peer', redirectUri: 'x' }),
      stale.finishIdentityLink(answer),
      stale.unlinkIdentity({ identityId }),
    ]) {
      assert.equal((await refusal(call)).reason, 'REAUTHENTICATION_REQUIRED');
    }
    // The provider's clock is the machine's.
    service.clock.advance(-601_000);
    const fresh = accountOf(service, await federatedTokens(service, peer, sub));
    await fresh.finishIdentityLink(await linkVisit(fresh, peer, newcomer(peer).sub));
  });
});
