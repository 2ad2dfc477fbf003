import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect } from 'node:http2';
import { before, describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { newEmail, PASSWORD } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

describe('the HTTP endpoints', () => {
  let service: Service;
  let url: string;
  const get = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init);

  before(async () => {
    service = await startService();
    url = `http://${service.app.httpAddress}`;
  });

  it('publish the keys for caches, and say when they have not changed', async () => {
    const first = await get('/.well-known/jwks.json');
    assert.equal(first.status, 200);
    assert.match(first.headers.get('cache-control') ?? '', /public, max-age=\d+/);
    const { keys } = (await first.json()) as { keys: Record<string, string>[] };
    assert.equal(keys.length, 2);
    for (const key of keys) {
      assert.deepEqual([key['alg'], key['use'], key['kty']], ['ES256', 'sig', 'EC']);
      assert.equal(key['d'], undefined);
    }
    const etag = first.headers.get('etag') ?? '';
    const second = await get('/.well-known/jwks.json', { headers: { 'if-none-match': etag } });
    assert.equal(second.status, 304);
    assert.equal(await second.text(), '');
  });

  it('say where the keys of the issuer are', async () => {
    for (const name of ['openid-configuration', 'oauth-authorization-server']) {
      const document = (await (await get(`/.well-known/${name}`)).json()) as Record<
        string,
        unknown
      >;
      assert.equal(document['issuer'], 'https://issuer.test');
      assert.equal(document['jwks_uri'], `${url}/.well-known/jwks.json`);
    }
  });

  it('say whether the process lives and whether it is ready', async () => {
    assert.equal((await get('/healthz')).status, 200);
    const ready = await get('/readyz');
    assert.equal(ready.status, 200);
    const { status, checks } = (await ready.json()) as { status: string; checks: object };
    assert.equal(status, 'ready');
    assert.deepEqual(Object.keys(checks).sort(), [
      ...[
        'database',
        'migrations',
        'redis',
        'revocations',
        'roles',
        'shutdown',
        'signing_key',
        'smtp',
        'start',
      ],
    ]);
  });

  it('refuse other methods and unknown paths in JSON, and answer HEAD without a body', async () => {
    const posted = await get('/healthz', { method: 'POST', body: 'x' });
    assert.equal(posted.status, 405);
    assert.equal(posted.headers.get('allow'), 'GET, HEAD');
    const unknown = await get('/nothing?here=1');
    assert.equal(unknown.status, 404);
    assert.deepEqual(await unknown.json(), { error: 'not found' });
    const head = await get('/healthz', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
  });

  it('carry the headers that make browsers careful', async () => {
    for (const path of ['/healthz', '/verify-email', '/nothing']) {
      const { headers } = await get(path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      assert.equal(headers.get('x-frame-options'), 'DENY');
    }
  });

  it('have a page for each kind of link in mails, where only its own script may run', async () => {
    for (const [path, method] of [
      ['/verify-email', 'AuthService/VerifyEmail'],
      ['/reset-password', 'AuthService/ResetPassword'],
      ['/confirm-email-change', 'AccountService/ConfirmEmailChange'],
      ['/secure-account', 'AuthService/SecureAccount'],
    ] as const) {
      const answer = await get(path);
      const body = await answer.text();
      const script = /<script>([\s\S]*)<\/script>/.exec(body)?.[1] ?? '';
      const digest = createHash('sha256').update(script).digest('base64');
      const policy = answer.headers.get('content-security-policy') ?? '';
      assert.ok(body.includes(`data-method="/countersign.v1.${method}"`), path);
      assert.ok(policy.includes(`script-src 'sha256-${digest}'`), path);
      assert.ok(policy.includes("default-src 'none'"), path);
    }
  });

  it('have no mailbox if mail goes out by SMTP', async () => {
    assert.equal((await get('/dev/mailbox')).status, 404);
    assert.equal((await get('/dev/mailbox.json')).status, 404);
  });

  it('are served by HTTP/2 too, on the same port', async () => {
    const session = connect(url);
    atEnd(() => session.destroy());
    const stream = session.request({ ':path': '/healthz' });
    const status = await new Promise((resolve) => {
      stream.once('response', (headers) => resolve(headers[':status']));
    });
    stream.close();
    assert.equal(status, 200);
  });
});

describe('the mailbox of the embedded default', () => {
  it('shows mail to people and to scripts, newest first, and runs nothing that is in it', async () => {
    const service = await startService({
      env: { DATABASE_URL: '', SMTP_URL: '', COUNTERSIGN_DATA_DIR: await embeddedDirectory() },
    });
    const url = `http://${service.app.httpAddress}/dev/mailbox`;
    const emails = [newEmail(), newEmail()];
    const list = async () =>
      (await (await fetch(`${url}.json`)).json()) as { to: string; text: string; html: string }[];
    for (const [index, email] of emails.entries()) {
      const displayName = '<img src=x onerror=alert(1)>';
      await service.auth.signUp({ email, password: PASSWORD, displayName });
      await eventually(async () => (await list()).length === index + 1);
    }
    const mails = await list();
    assert.deepEqual(
      mails.map(({ to }) => to),
      emails.reverse(),
    );
    assert.doesNotMatch(mails[0]?.html ?? '', /<img/);
    await service.auth.verifyEmail({ token: tokenIn(mails[0] ?? { text: '' }) ?? '' });
    const page = await fetch(url);
    assert.doesNotMatch(await page.text(), /<img/);
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  });
});
