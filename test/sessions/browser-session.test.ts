import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { Peer } from '../federation/peer.ts';
import { addProviders, newcomer, visited } from '../federation/people.ts';
import { sql } from '../harness/database.ts';
import { type Jar, Page, type PageHeaders } from '../harness/page.ts';
import { createAccount, isActive, PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { rotatedEarlier } from './rotated-earlier.ts';

const LISTED = 'https://app.example.com';
/** Twice the time in which a client may ask again: outages make it longer, and a busy machine is like one. */
const GRACE_IS_OVER = '21 seconds';

describe('A session in a browser', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_CORS_ORIGINS: LISTED } });
    replica = await startReplica(service, {
      env: { COUNTERSIGN_PUBLIC_URL: service.app.publicUrl },
    });
  });

  /** Signs somebody in on a page of a new browser, or with these headers. */
  async function signInOn(page: Page, email?: string): Promise<Tokens> {
    const request = { email: email ?? (await createAccount(service)), password: PASSWORD };
    const { outcome } = await page.auth.login(request);
    assert.ok(outcome.case === 'tokens');
    return outcome.value;
  }

  /** A browser in which somebody has signed in, with a token that is due to be exchanged. */
  async function aged(by = '2 minutes') {
    const page = new Page(service);
    const tokens = await signInOn(page);
    await sql(service.databaseUrl, 'update sessions set rotated_at = now() where id = $1', [
      tokens.sessionId,
    ]);
    await rotatedEarlier(service, tokens.sessionId, by);
    return { page, tokens, first: page.jar.cookie ?? '' };
  }

  const refresh = (page: Page) => page.auth.refreshToken({});

  async function endCause(sessionId: string): Promise<string | null | undefined> {
    const [row] = await sql<{ end_cause: string | null }>(
      service.databaseUrl,
      'select end_cause from sessions where id = $1',
      [sessionId],
    );
    return row?.end_cause;
  }

  it('W11 has its refresh token in a cookie that no script and no other host has', async () => {
    const page = new Page(service);
    const tokens = await signInOn(page);
    assert.equal(tokens.refreshToken, '');
    assert.equal(page.setCookies.length, 1);
    const [, seconds] =
      /^__Host-countersign=csr_[\w.-]{94}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=(\d+)$/.exec(
        page.setCookies[0] ?? '',
      ) ?? [];
    const end = Number(tokens.refreshExpiresAt?.seconds) - service.clock.now().getTime() / 1000;
    assert.ok(Math.abs(end - Number(seconds)) < 60, `${end} ${seconds}`);
    assert.ok(await isActive(service, tokens.accessToken));
  });

  it('W11 keeps it from the page however it signs in again on a known device, by gRPC-Web too', async () => {
    const email = await createAccount(service);
    const first = new Page(service);
    await signInOn(first, email);
    const again = new Page(service);
    const tokens = await signInOn(again, email);
    assert.ok(again.jar.cookie);
    const [row] = await sql(service.databaseUrl, 'select in_browser from sessions where id = $1', [
      tokens.sessionId,
    ]);
    assert.deepEqual(row, { in_browser: true });
    const web = new Page(service);
    const request = { email, password: PASSWORD };
    const { outcome } = await web.client(AuthService, 'grpc-web').login(request);
    assert.ok(outcome.case === 'tokens' && outcome.value.refreshToken === '');
    assert.match(web.jar.cookie ?? '', /^csr_/);
  });

  it('W11 S07 is not ended by pages that load at once, nor by reloads: they share one token', async () => {
    const page = new Page(service);
    const { sessionId } = await signInOn(page);
    const { cookie } = page.jar;
    const tabs = [page, new Page(replica, page.jar), new Page(service, page.jar)];
    for (let load = 0; load < 5; load += 1) {
      const answers = await Promise.all(tabs.map(refresh));
      for (const { tokens } of answers) {
        assert.equal(tokens?.refreshToken, '');
        assert.equal(tokens?.sessionId, sessionId);
        assert.ok(await isActive(service, tokens?.accessToken ?? ''));
      }
    }
    assert.equal(page.jar.cookie, cookie);
    assert.equal(page.setCookies.length, 1);
    assert.equal(await endCause(sessionId), null);
  });

  it('W11 S06 gives one successor to all pages once the token is a minute old, and keeps it', async () => {
    const { page, tokens, first } = await aged();
    const tabs = [page, new Page(replica, page.jar), new Page(service, page.jar)];
    await Promise.all(tabs.map(refresh));
    const second = page.jar.cookie;
    assert.notEqual(second, first);
    assert.ok(tabs.every(({ setCookies }) => setCookies.at(-1)?.includes(String(second))));
    // One whose answer was lost asks again, after another page has used the successor.
    await refresh(page);
    await refresh(new Page(replica, { cookie: first }));
    await refresh(page);
    assert.equal(page.jar.cookie, second);
    assert.equal(await endCause(tokens.sessionId), null);
  });

  it('W11 S07 is ended when a copy of the cookie was exchanged outside of the browser', async () => {
    const { page, tokens, first } = await aged();
    await service.auth.refreshToken({ refreshToken: first });
    await rotatedEarlier(service, tokens.sessionId, GRACE_IS_OVER);
    assert.equal((await refusal(refresh(page))).reason, 'REFRESH_TOKEN_REUSED');
    assert.equal(page.jar.cookie, first);
    assert.equal(await endCause(tokens.sessionId), 'refresh_token_reused');
  });

  it('W11 S07 is ended when a copy of the cookie comes back, outside of the browser or as if in it', async () => {
    for (const outside of [true, false]) {
      const { page, tokens, first } = await aged();
      await refresh(page);
      await rotatedEarlier(service, tokens.sessionId, GRACE_IS_OVER);
      const thief = outside
        ? service.auth.refreshToken({ refreshToken: first })
        : refresh(new Page(replica, { cookie: first }));
      assert.equal((await refusal(thief)).reason, 'REFRESH_TOKEN_REUSED');
      assert.equal((await refusal(refresh(page))).reason, 'TOKEN_REVOKED');
    }
  });

  it('W11 S07 exchanges a token at once if it was not issued to a browser, whoever says it was', async () => {
    const app = await signedIn(service);
    const jar: Jar = { cookie: app.refreshToken };
    await refresh(new Page(service, jar));
    assert.notEqual(jar.cookie, app.refreshToken);
    await rotatedEarlier(service, app.sessionId, GRACE_IS_OVER);
    const own = service.auth.refreshToken({ refreshToken: app.refreshToken });
    assert.equal((await refusal(own)).reason, 'REFRESH_TOKEN_REUSED');
  });

  it('W11 S07 exchanges the cookie of a browser at once for whoever does not call as one', async () => {
    const page = new Page(service);
    await signInOn(page);
    const { tokens } = await service.auth.refreshToken({ refreshToken: page.jar.cookie ?? '' });
    assert.notEqual(tokens?.refreshToken, '');
    assert.notEqual(tokens?.refreshToken, page.jar.cookie);
  });

  it('W11 ends by Logout, which takes the cookie away, and nothing else does', async () => {
    const { page, tokens } = await aged();
    await sql(
      service.databaseUrl,
      `update accounts set state = 'suspended' from sessions s
      where s.account_id = accounts.id and s.id = $1`,
      [tokens.sessionId],
    );
    assert.equal((await refusal(refresh(page))).reason, 'TOKEN_REVOKED');
    assert.ok(page.jar.cookie);
    await page.auth.logout({});
    assert.equal(page.jar.cookie, undefined);
    assert.match(page.setCookies.at(-1) ?? '', /^__Host-countersign=; Path=\/; .*; Max-Age=0$/);
    assert.equal(await endCause(tokens.sessionId), 'logout');
    // Another page of the browser signs out as well.
    await page.auth.logout({});
    assert.equal((await refusal(refresh(page))).reason, 'CREDENTIALS_MISSING');
  });

  it('W11 keeps it from the page that comes back from a provider', async () => {
    const peer = await Peer.start();
    addProviders(service, [peer.settings()]);
    const { sub } = newcomer(peer);
    const page = new Page(service);
    const answer = await visited(service, peer, sub);
    const { outcome } = await page.auth.finishFederatedLogin(answer);
    assert.ok(outcome.case === 'tokens' && outcome.value.refreshToken === '');
    assert.equal((await refresh(page)).tokens?.sessionId, outcome.value.sessionId);
  });

  it('W11 opens nothing but RefreshToken and Logout', async () => {
    const page = new Page(service);
    await signInOn(page);
    const me = page.client(AccountService).getMe({});
    assert.equal((await refusal(me)).reason, 'CREDENTIALS_MISSING');
    const verified = await fetch(`http://${service.app.httpAddress}/verify`, {
      headers: { cookie: `__Host-countersign=${page.jar.cookie}` },
    });
    assert.equal(verified.status, 401);
  });

  it('W11 takes no refresh token from a page itself, and no second cookie', async () => {
    const page = new Page(service);
    await signInOn(page);
    const cookie = page.jar.cookie ?? '';
    for (const call of [page.auth.refreshToken, page.auth.logout]) {
      const refused = await refusal(call({ refreshToken: cookie }));
      assert.deepEqual(refused.fields, ['refresh_token']);
    }
    const tossed = new Page(service, { cookie: `${cookie}; __Host-countersign=${cookie}` });
    assert.equal((await refusal(refresh(tossed))).reason, 'CREDENTIALS_MISSING');
    assert.equal((await refusal(refresh(new Page(service)))).reason, 'CREDENTIALS_MISSING');
  });

  it('W11 is kept by no cache between the browser and the service', async () => {
    const page = new Page(service);
    const answers: Headers[] = [];
    const options = { onHeader: (headers: Headers) => void answers.push(headers) };
    const request = { email: await createAccount(service), password: PASSWORD };
    await page.auth.login(request, options);
    await page.auth.refreshToken({}, options);
    await page.auth.logout({}, options);
    const told = answers.map((headers) => headers.get('cache-control'));
    assert.deepEqual(told, ['no-store', 'no-store', 'no-store']);
  });

  it('W11 takes no cookie that only looks like its own, such as one after other white space', async () => {
    const page = new Page(service);
    await signInOn(page);
    const own = `__Host-countersign=${page.jar.cookie}`;
    /** The status of a refresh with these bytes as the header, which fetch writes as they are. */
    const refreshWith = async (cookie: string) => {
      const origin = service.app.publicUrl;
      const mode = { 'x-countersign-session': 'cookie', 'content-type': 'application/json' };
      const url = `http://${service.app.httpAddress}/countersign.v1.AuthService/RefreshToken`;
      const headers = { ...mode, origin, cookie };
      return (await fetch(url, { method: 'POST', headers, body: '{}' })).status;
    };
    assert.equal(await refreshWith(`a=b; ${own}; c`), 200);
    // U+00A0 is white space to JavaScript, and part of a name to browsers.
    for (const before of ['\u00a0', '\u00a0 ', '\u0085', '\u00e2\u0080\u0080', '=', '$']) {
      const planted = `a=b; ${before}${own}; c`;
      assert.equal(await refreshWith(planted), 401, before);
      assert.equal(await refreshWith(`${planted}; ${own}`), 200, 'it signs nobody out');
    }
    assert.equal(await refreshWith(own.replace('Host', 'host')), 401);
  });

  const foreign: [string, PageHeaders, Code][] = [
    ['another origin', { origin: 'https://evil.example' }, Code.PermissionDenied],
    ['a host below a listed one', { origin: 'https://x.app.example.com' }, Code.PermissionDenied],
    ['an opaque origin', { origin: 'null' }, Code.PermissionDenied],
    ['no origin', { origin: undefined }, Code.PermissionDenied],
    ['another site', { 'sec-fetch-site': 'cross-site' }, Code.PermissionDenied],
    ['the address bar', { 'sec-fetch-site': 'none' }, Code.PermissionDenied],
    ['a page that misspells the mode', { 'x-countersign-session': 'Cookie' }, Code.InvalidArgument],
  ];

  for (const [what, headers, code] of foreign) {
    it(`W11 is not used by what comes from ${what}`, async () => {
      const { page, tokens, first } = await aged();
      const other = new Page(service, page.jar, headers);
      for (const call of [
        () => refresh(other),
        () => other.auth.logout({}),
        () => other.auth.login({ email: 'a@example.com', password: PASSWORD }),
        () => other.client(AuthService, 'grpc-web').refreshToken({}),
      ]) {
        assert.equal((await refusal(call())).code, code);
      }
      assert.deepEqual([page.jar.cookie, other.setCookies], [first, []]);
      assert.equal(await endCause(tokens.sessionId), null);
    });
  }

  it('W11 is used by pages of listed origins, of older browsers, and at localhost', async () => {
    const { port } = new URL(service.app.publicUrl);
    for (const headers of [
      { origin: LISTED, 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': undefined },
      { origin: `http://localhost:${port}` },
    ]) {
      await signInOn(new Page(service, {}, headers));
    }
  });

  it('W11 is not used by a page that does not ask for it: the cookie alone does nothing', async () => {
    const page = new Page(service);
    const { sessionId } = await signInOn(page);
    const form = new Page(service, page.jar, { 'x-countersign-session': undefined });
    assert.equal((await refusal(refresh(form))).reason, 'INVALID_REQUEST');
    assert.equal((await refusal(form.auth.logout({}))).reason, 'CREDENTIALS_MISSING');
    assert.equal(await endCause(sessionId), null);
  });
});
