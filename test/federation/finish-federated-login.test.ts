import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { appCode } from '../authenticator-app.ts';
import { sql } from '../harness/database.ts';
import { accountOf, claimsOf, newEmail, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { Peer } from './peer.ts';
import {
  federatedLogin,
  federatedTokens,
  newcomer,
  startFederatedService,
  visited,
} from './people.ts';

let service: Service;
let replica: Service;
let peer: Peer;

before(async () => {
  peer = await Peer.start();
  service = await startFederatedService([
    peer.settings(),
    peer.settings({ id: 'other' }),
    peer.settings({ id: 'closed', sign_up: false }),
    peer.settings({ id: 'strict', mfa_amr: ['hwk'], mfa_acr: ['urn:strong'] }),
  ]);
  replica = await startReplica(service);
});

const finish = (answer: Parameters<Service['auth']['finishFederatedLogin']>[0], at = service) =>
  at.auth.finishFederatedLogin(answer);

describe('FinishFederatedLogin', () => {
  it('signs up a newcomer with a verified address and no password, and knows them again', async () => {
    const { email, sub } = newcomer(peer);
    const first = await federatedTokens(service, peer, sub);
    const { user } = await accountOf(service, first).getMe({});
    assert.deepEqual([user?.email, user?.emailVerified, user?.displayName], [email, true, 'Robin']);
    const { amr, acr } = claimsOf(first.accessToken);
    assert.deepEqual([amr, acr], [['fed'], 'aal1']);
    const second = await federatedTokens(replica, peer, sub);
    assert.equal(userIdOf(second), userIdOf(first));
    const rows = await sql(
      service.databaseUrl,
      `select 1 from password_credentials where account_id = $1`,
      [userIdOf(first)],
    );
    assert.equal(rows.length, 0);
  });

  it('names the provider in its tokens, those of a refresh included', async () => {
    const first = await federatedTokens(service, peer, newcomer(peer).sub);
    const { refreshToken } = first;
    const { tokens } = await replica.auth.refreshToken({ refreshToken });
    // The grace time answers by another statement.
    const { tokens: again } = await service.auth.refreshToken({ refreshToken });
    for (const { accessToken } of [first, tokens, again].filter((each) => each !== undefined)) {
      assert.equal(claimsOf(accessToken)['idp'], 'peer');
      const { principal } = await service.sessions.introspectToken({ token: accessToken });
      assert.deepEqual([principal?.identityProvider, principal?.amr], ['peer', ['fed']]);
    }
    const { json } = await accountOf(service, first).exportMe({});
    assert.equal(JSON.parse(json).sessions[0].identity_provider, 'peer');
  });

  it('F02 never follows the address of an identity that is known', async () => {
    const { email, sub } = newcomer(peer);
    const first = await federatedTokens(service, peer, sub);
    peer.person({ email: newEmail(), email_verified: true }, sub);
    const second = await federatedTokens(service, peer, sub);
    assert.equal(userIdOf(second), userIdOf(first));
    assert.equal((await accountOf(service, second).getMe({})).user?.email, email);
    peer.person({}, sub);
    assert.equal(userIdOf(await federatedTokens(service, peer, sub)), userIdOf(first));
  });

  it('F02 compares subjects byte for byte', async () => {
    const { sub } = newcomer(peer);
    const first = await federatedTokens(service, peer, sub);
    const other = peer.person({ email: newEmail(), email_verified: true }, sub.toUpperCase());
    assert.notEqual(userIdOf(await federatedTokens(service, peer, other)), userIdOf(first));
  });

  it('F01 opens one session by one token request, of 64 racing callbacks on two replicas', async () => {
    const answer = await visited(service, peer, newcomer(peer).sub);
    const before = peer.tokenRequests.length;
    const racers = Array.from({ length: 64 }, (_, i) => finish(answer, i % 2 ? service : replica));
    const settled = await Promise.allSettled(racers);
    assert.equal(settled.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(peer.tokenRequests.length - before, 1);
    assert.equal((await refusal(finish(answer))).reason, 'TOKEN_INVALID');
  });

  it('F02 makes one account of two first sign-ins at once', async () => {
    const { email, sub } = newcomer(peer);
    const answers = await Promise.all([
      visited(service, peer, sub),
      visited(service, peer, sub),
      visited(replica, peer, sub),
    ]);
    const outcomes = await Promise.all(
      answers.map((answer, i) => finish(answer, i % 2 ? service : replica)),
    );
    assert.ok(outcomes.every(({ outcome }) => outcome.case === 'tokens'));
    const accounts = await sql(service.databaseUrl, 'select 1 from accounts where email = $1', [
      email,
    ]);
    assert.equal(accounts.length, 1);
  });

  it('F01 opens nothing for anyone but who began', async () => {
    const attacker = await visited(service, peer, newcomer(peer).sub);
    const victim = await visited(service, peer, newcomer(peer).sub);
    const before = peer.tokenRequests.length;
    const mixed = await refusal(finish({ ...attacker, loginToken: victim.loginToken }));
    assert.deepEqual([mixed.reason, mixed.fields], ['TOKEN_INVALID', ['state']]);
    const none = await refusal(finish({ ...attacker, loginToken: '' }));
    assert.deepEqual([none.code, none.fields], [Code.InvalidArgument, ['login_token']]);
    for (const loginToken of [
      attacker.state,
      attacker.loginToken.replace(/(?<=.{20})./, (letter) => (letter === 'A' ? 'B' : 'A')),
      attacker.loginToken.replace('csf_', 'csr_'),
      'csf_',
    ]) {
      assert.equal((await refusal(finish({ ...attacker, loginToken }))).reason, 'TOKEN_INVALID');
    }
    assert.equal(peer.tokenRequests.length, before);
    // A code that was injected does not fit the verifier of another flow.
    const injected = await refusal(finish({ ...victim, code: attacker.code }));
    assert.deepEqual(
      [injected.code, injected.reason, injected.metadata],
      [Code.Unauthenticated, 'FEDERATED_LOGIN_REFUSED', { provider_error: 'invalid_grant' }],
    );
    assert.ok((await finish(attacker)).outcome.case);
  });

  it('F01 refuses an answer whose issuer is missing or another one, without a token request', async () => {
    for (const iss of ['', 'https://evil.example', `${peer.issuer}/`]) {
      const answer = await visited(service, peer, newcomer(peer).sub);
      const before = peer.tokenRequests.length;
      const refused = await refusal(finish({ ...answer, iss }));
      assert.equal(refused.reason, 'FEDERATED_LOGIN_REFUSED', iss);
      assert.equal(peer.tokenRequests.length, before);
    }
  });

  it('F01 accepts a login token for ten minutes', async () => {
    const answer = await visited(service, peer, newcomer(peer).sub);
    service.clock.advance(600_000);
    assert.equal((await refusal(finish(answer))).reason, 'TOKEN_EXPIRED');
    service.clock.advance(-600_000);
  });

  it('passes on that a person declined', async () => {
    const answer = await visited(service, peer, 'nobody');
    assert.equal(answer.error, 'access_denied');
    const refused = await refusal(finish(answer));
    assert.deepEqual(
      [refused.reason, refused.metadata],
      ['FEDERATED_LOGIN_REFUSED', { provider_error: 'access_denied' }],
    );
  });

  it('signs nobody up with a provider that may not', async () => {
    const refused = await refusal(federatedLogin(service, peer, newcomer(peer).sub, 'closed'));
    assert.equal(refused.reason, 'SIGN_UP_DISABLED');
  });

  it('asks for an enrolled second factor, and says that the first came from a provider', async () => {
    const { sub, secret } = await withApp();
    const outcome = await federatedLogin(service, peer, sub);
    assert.ok(outcome.case === 'mfa');
    const { tokens } = await service.auth.completeMfa({
      challengeToken: outcome.value.challengeToken,
      factor: { case: 'totpCode', value: appCode(secret, service.clock.now()) },
    });
    const { amr, acr } = claimsOf(tokens?.accessToken ?? '');
    assert.deepEqual([amr, acr], [['fed', 'otp', 'mfa'], 'aal2']);
    assert.equal(claimsOf(tokens?.accessToken ?? '')['idp'], 'peer');
    const events = await sql<{ details: { amr: string[]; idp: string } }>(
      service.databaseUrl,
      `select details from audit_events where type = 'session.created' and subject = $1`,
      [userIdOf({ accessToken: tokens?.accessToken ?? '' })],
    );
    assert.deepEqual(
      events.map(({ details }) => details.idp),
      ['peer', 'peer'],
    );
  });

  it('leaves it to a provider that says so in the configured way, and to no other', async () => {
    const { sub, email } = await withApp();
    const claims = { email, email_verified: true };
    peer.person({ ...claims, amr: ['pwd', 'mfa'] }, sub);
    assert.equal((await federatedLogin(service, peer, sub, 'strict')).case, 'mfa');
    peer.person({ ...claims, amr: ['hwk'] }, sub);
    assert.equal((await federatedLogin(service, peer, sub)).case, 'mfa');
    const outcome = await federatedLogin(service, peer, sub, 'strict');
    assert.ok(outcome.case === 'tokens');
    const { amr, acr } = claimsOf(outcome.value.accessToken);
    assert.deepEqual([amr, acr], [['fed', 'mfa'], 'aal2']);
    // It counts as one where a recent second factor is asked for.
    await accountOf(service, outcome.value).disableTotp({});
  });

  it('no longer names the provider once something else has been proved', async () => {
    const { sub, secret } = await withApp();
    const outcome = await federatedLogin(service, peer, sub);
    assert.ok(outcome.case === 'mfa');
    const code = () => appCode(secret, service.clock.now());
    const { tokens } = await service.auth.completeMfa({
      challengeToken: outcome.value.challengeToken,
      factor: { case: 'totpCode', value: code() },
    });
    assert.ok(tokens);
    service.clock.advance(60_000);
    const auth = service.client(AuthService, 'grpc', tokens.accessToken);
    const proved = await auth.reauthenticate({ proof: { case: 'totpCode', value: code() } });
    const { amr, idp } = claimsOf(proved.tokens?.accessToken ?? '');
    assert.deepEqual([amr, idp], [['otp'], undefined]);
    const { refreshToken } = tokens;
    const refreshed = await service.auth.refreshToken({ refreshToken });
    assert.equal(claimsOf(refreshed.tokens?.accessToken ?? '')['idp'], undefined);
  });

  it('C10 does not name the provider after another proof that an older version has noted', async () => {
    const tokens = await federatedTokens(service, peer, newcomer(peer).sub);
    const { sid } = claimsOf(tokens.accessToken);
    await sql(service.databaseUrl, `update sessions set amr = '{pwd}' where id = $1`, [sid]);
    const { refreshToken } = tokens;
    const refreshed = await service.auth.refreshToken({ refreshToken });
    const { amr, idp } = claimsOf(refreshed.tokens?.accessToken ?? '');
    assert.deepEqual([amr, idp], [['pwd'], undefined]);
  });

  async function withApp() {
    const { email, sub } = newcomer(peer);
    const account = accountOf(service, await federatedTokens(service, peer, sub));
    const { secret } = await account.beginTotpEnrollment({});
    await account.confirmTotpEnrollment({ code: appCode(secret, service.clock.now()) });
    service.clock.advance(30_000);
    return { email, sub, secret };
  }
});

describe('FinishFederatedLogin by a provider with claims in userinfo', () => {
  it('signs up a newcomer', async () => {
    const peer = await Peer.start({ inUserInfo: true });
    const service = await startFederatedService([peer.settings()]);
    const { email, sub } = newcomer(peer);
    const { user } = await accountOf(service, await federatedTokens(service, peer, sub)).getMe({});
    assert.equal(user?.email, email);
  });
});
