import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { Peer, REDIRECT } from './peer.ts';
import { newcomer, startFederatedService } from './people.ts';

let service: Service;
let peer: Peer;

before(async () => {
  peer = await Peer.start();
  service = await startFederatedService([
    peer.settings(),
    { id: 'google', preset: 'google', client_id: 'x', redirect_uris: [REDIRECT] },
    { id: 'github', preset: 'github', client_id: 'x', redirect_uris: [REDIRECT] },
  ]);
});

describe('StartFederatedLogin', () => {
  const start = (request: object = {}) =>
    service.auth.startFederatedLogin({ provider: 'peer', redirectUri: REDIRECT, ...request });

  it('F01 sends the person to the provider with PKCE, state and nonce, new each time', async () => {
    const { authorizationUrl, loginToken, expiresAt } = await start();
    const { origin, searchParams: query } = new URL(authorizationUrl);
    assert.equal(origin, peer.issuer);
    assert.match(loginToken, /^csf_/);
    assert.equal(Number(expiresAt?.seconds) * 1000 - service.clock.now().getTime() > 599_000, true);
    const sent = Object.fromEntries(query);
    assert.deepEqual(
      [sent['response_type'], sent['redirect_uri'], sent['scope'], sent['code_challenge_method']],
      ['code', REDIRECT, 'openid email profile', 'S256'],
    );
    assert.equal(query.has('prompt'), false);
    // However long ago, but it has to be said.
    assert.equal(query.get('max_age'), '315360000');
    const other = new URL((await start()).authorizationUrl).searchParams;
    for (const name of ['state', 'nonce', 'code_challenge']) {
      assert.match(sent[name] ?? '', /^[\w-]{43}$/);
      assert.notEqual(sent[name], other.get(name));
      assert.equal(loginToken.includes(sent[name] ?? ''), false);
    }
  });

  it('F01 accepts only a provider and a redirect URI that are configured', async () => {
    for (const redirectUri of [
      `${REDIRECT}/`,
      `${REDIRECT}?x=1`,
      REDIRECT.toUpperCase(),
      'https://app.example.com.evil.example/signed-in',
    ]) {
      assert.deepEqual((await refusal(start({ redirectUri }))).fields, ['redirect_uri']);
    }
    assert.deepEqual((await refusal(start({ provider: 'facebook' }))).fields, ['provider']);
  });

  it('has the person prove again who they are if asked to', async () => {
    const query = (url: string) => new URL(url).searchParams;
    const begun = await start({ reauthenticate: true });
    assert.equal(query(begun.authorizationUrl).get('prompt'), 'login');
    assert.equal(query(begun.authorizationUrl).get('max_age'), '0');
    const answer = await peer.visit(begun.authorizationUrl, newcomer(peer).sub);
    const { outcome } = await service.auth.finishFederatedLogin({
      loginToken: begun.loginToken,
      ...answer,
    });
    assert.equal(outcome.case, 'tokens');
    const github = await start({ provider: 'github', reauthenticate: true });
    assert.equal(query(github.authorizationUrl).get('prompt'), 'select_account');
  });

  it('stores nothing', async () => {
    const service = await startFederatedService([peer.settings()]);
    await service.auth.startFederatedLogin({ provider: 'peer', redirectUri: REDIRECT });
    const counts = await sql(
      service.databaseUrl,
      `select (select count(*) from used_federated_flows)::int as flows,
         (select count(*) from mailed_tokens)::int as tokens,
         (select count(*) from audit_events)::int as events`,
    );
    assert.deepEqual(counts, [{ flows: 0, tokens: 0, events: 0 }]);
  });
});
