import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { addProviders } from '../federation/people.ts';
import { axeViolations, NO_CHROMIUM, newProfile, startChromium } from '../harness/chromium.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { noteSecret } from '../harness/logs.ts';
import { accountOf, newEmail, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const REDIRECT = 'http://localhost:3000/callback';

describe('The test provider', () => {
  it('F02 is offered on the embedded default alone, if nobody else reaches it and none is configured', () => {
    const isOffered = (env: Record<string, string>) => readConfig(env, () => '').testProvider;
    assert.equal(isOffered({}), true);
    assert.equal(isOffered({ COUNTERSIGN_PUBLIC_URL: 'http://localhost:8080' }), true);
    assert.equal(isOffered({ COUNTERSIGN_ALLOWED_HOSTS: 'localhost,[::1],127.0.0.1' }), true);
    const own = [{ id: 'x', display_name: 'X', issuer: 'https://id.example.com', client_id: 'x' }];
    const providers = own.map((each) => ({ ...each, redirect_uris: ['https://example.com/x'] }));
    const key = { COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 1).toString('base64') };
    const never: Record<string, string>[] = [
      { DATABASE_URL: 'postgres://localhost/x', ...key },
      { COUNTERSIGN_HTTP_ADDR: '0.0.0.0:8080' },
      { COUNTERSIGN_GRPC_ADDR: '0.0.0.0:50051' },
      { COUNTERSIGN_GRPC_ADDR: '[::]:50051' },
      { COUNTERSIGN_PUBLIC_URL: 'https://id.example.com' },
      { COUNTERSIGN_TLS_CERT_FILE: 'cert.pem', COUNTERSIGN_TLS_KEY_FILE: 'key.pem' },
      { COUNTERSIGN_ALLOWED_HOSTS: 'localhost,id.example.com' },
      { COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1' },
      { SMTP_URL: 'smtp://localhost' },
      { COUNTERSIGN_DEV_MAILBOX: 'off' },
      { COUNTERSIGN_OIDC_PROVIDERS: JSON.stringify(providers) },
    ];
    for (const env of never) assert.equal(isOffered(env), false, Object.keys(env).join());
  });

  describe('of the embedded default', () => {
    let service: Service;
    let origin: string;

    before(async () => {
      const dataDir = await embeddedDirectory();
      const env = { DATABASE_URL: '', SMTP_URL: '', COUNTERSIGN_DATA_DIR: dataDir };
      service = await startService({ env });
      origin = `http://${service.app.httpAddress}`;
    });

    const begin = (more: object = {}) =>
      service.auth.startFederatedLogin({ provider: 'test', redirectUri: REDIRECT, ...more });

    /** Goes there, says who is there, and returns what comes back. */
    async function visit(authorizationUrl: string, said: Record<string, string>) {
      const url = `${authorizationUrl}&${new URLSearchParams(said)}`;
      const response = await fetch(url, { redirect: 'manual' });
      assert.equal(response.status, 302);
      const back = new URL(response.headers.get('location') ?? '');
      assert.equal(back.origin + back.pathname, REDIRECT);
      const { state = '', code = '', iss = '', error = '' } = Object.fromEntries(back.searchParams);
      noteSecret(code || 'no code');
      return { state, code, iss, error };
    }

    async function signIn(email: string, more: object = {}) {
      const { authorizationUrl, loginToken } = await begin(more);
      const answer = await visit(authorizationUrl, { email, name: 'Robin' });
      const { outcome } = await service.auth.finishFederatedLogin({ ...answer, loginToken });
      if (outcome.case !== 'tokens') throw new Error('no tokens');
      return outcome.value;
    }

    it('signs up whoever names an address, and knows them again', async () => {
      const { providers } = await service.auth.listProviders({});
      assert.deepEqual(
        providers.map(({ provider, displayName }) => [provider, displayName]),
        [['test', 'Test provider']],
      );
      const email = newEmail();
      const first = await signIn(email);
      const { user } = await accountOf(service, first).getMe({});
      assert.deepEqual(
        [user?.email, user?.emailVerified, user?.displayName],
        [email, true, 'Robin'],
      );
      const again = await signIn(email.toUpperCase(), { reauthenticate: true });
      assert.equal(userIdOf(again), userIdOf(first));
    });

    it('sends people back who decline', async () => {
      const { authorizationUrl, loginToken } = await begin();
      const answer = await visit(authorizationUrl, { decline: '1' });
      const refused = await refusal(service.auth.finishFederatedLogin({ ...answer, loginToken }));
      assert.deepEqual(refused.metadata, { provider_error: 'access_denied' });
    });

    it('sends nobody elsewhere, and asks who is there if it is not told', async () => {
      const { authorizationUrl } = await begin();
      const page = await fetch(authorizationUrl);
      assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
      const elsewhere = new URL(authorizationUrl);
      elsewhere.searchParams.set('redirect_uri', 'https://evil.example/callback');
      assert.equal((await fetch(`${elsewhere}&email=robin@example.com`)).status, 400);
      const redirectUri = 'http://localhost:3000/elsewhere';
      assert.deepEqual((await refusal(begin({ redirectUri }))).fields, ['redirect_uri']);
    });

    it('redeems a code once, for who began', async () => {
      const verifier = 'x'.repeat(43);
      const { authorizationUrl } = await begin();
      const url = new URL(authorizationUrl);
      const challenge = createHash('sha256').update(verifier).digest('base64url');
      url.searchParams.set('code_challenge', challenge);
      const redeem = async (code: string, codeVerifier: string) => {
        const form = {
          grant_type: 'authorization_code',
          client_id: 'countersign',
          redirect_uri: REDIRECT,
          code_verifier: codeVerifier,
          code,
        };
        const token = `${origin}/dev/provider/token`;
        return fetch(token, { method: 'POST', body: new URLSearchParams(form) });
      };
      const { code } = await visit(url.href, { email: newEmail() });
      assert.equal((await redeem(code, verifier)).status, 200);
      const stolen = await visit(url.href, { email: newEmail() });
      for (const refused of [
        await redeem(code, verifier),
        await redeem(stolen.code, 'y'.repeat(43)),
        await redeem('made up', verifier),
      ]) {
        const { error } = (await refused.json()) as { error: string };
        assert.deepEqual([refused.status, error], [400, 'invalid_grant']);
      }
    });

    it('is not there through a proxy', async () => {
      const { authorizationUrl } = await begin();
      const url = `${authorizationUrl}&email=robin@example.com`;
      const headers = { 'x-forwarded-for': '192.0.2.1' };
      assert.equal((await fetch(url, { headers, redirect: 'manual' })).status, 403);
    });

    it('signs in from /dev/app', { skip: NO_CHROMIUM }, async () => {
      const browser = await startChromium(await newProfile());
      const page = await browser.newPage();
      const app = `${origin.replace('127.0.0.1', 'localhost')}/dev/app`;
      const email = newEmail();
      await page.goto(app);
      await page.click('button:text("Sign in with Test provider")');
      await page.waitForSelector('#sign-in #name');
      assert.deepEqual(await axeViolations(page), []);
      await page.click('#decline');
      await page.waitForSelector('#result:text("did not confirm the sign-in")');
      await page.click('button:text("Sign in with Test provider")');
      await page.fill('#email', email);
      await page.click('#sign-in button');
      await page.waitForSelector('#signed-in:not([hidden])');
      assert.equal(await page.textContent('#who'), email);
      assert.equal(page.url(), app);
    });

    it('is gone once there is another', async () => {
      const other = { id: 'other', display_name: 'O', issuer: 'https://id.example.com' };
      const rest = { client_id: 'x', redirect_uris: ['https://example.com/x'] };
      addProviders(service, [{ ...other, ...rest }]);
      assert.deepEqual((await refusal(begin())).fields, ['provider']);
      addProviders(service, []);
      await begin();
    });
  });

  it('is not there beside a database of its own', async () => {
    const { app, auth } = await startService();
    assert.deepEqual((await auth.listProviders({})).providers, []);
    const url = `http://${app.httpAddress}/dev/provider/authorize`;
    assert.equal((await fetch(url)).status, 404);
    assert.equal((await fetch(url.replace('authorize', 'token'), { method: 'POST' })).status, 404);
  });
});
