import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { DEV_APP_SCRIPT } from '../../src/http/dev-app-script.ts';
import { Peer } from '../federation/peer.ts';
import { addProviders, newcomer } from '../federation/people.ts';
import { axeViolations, NO_CHROMIUM, newProfile, startChromium } from '../harness/chromium.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { newEmail, PASSWORD } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

describe('/dev/app', () => {
  it('is there in the embedded default alone, if only its own machine reaches it', () => {
    const has = (env: Record<string, string>) => readConfig(env, () => '').devApp;
    const key = { COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 1).toString('base64') };
    assert.equal(has({}), true);
    assert.equal(has({ COUNTERSIGN_PUBLIC_URL: 'http://localhost:8080' }), true);
    assert.equal(has({ DATABASE_URL: 'postgres://localhost/x', ...key }), false);
    assert.equal(has({ COUNTERSIGN_HTTP_ADDR: '0.0.0.0:8080' }), false);
    assert.equal(has({ COUNTERSIGN_PUBLIC_URL: 'https://id.example.com' }), false);
  });

  it('is the example of docs/browser.md, word for word', () => {
    const document = readFileSync('docs/browser.md', 'utf8');
    const quoted = [...document.matchAll(/^```js dev-app\n([\s\S]*?)^```$/gm)];
    assert.ok(quoted.length >= 4);
    for (const [, code = ''] of quoted) assert.ok(DEV_APP_SCRIPT.includes(code), code);
  });

  let service: Service;
  let url: string;

  before(async () => {
    const env = { DATABASE_URL: '', SMTP_URL: '', COUNTERSIGN_DATA_DIR: await embeddedDirectory() };
    service = await startService({ env });
    url = service.app.publicUrl.replace('127.0.0.1', 'localhost');
  });

  it('is not shown through a proxy, and is not there beside a database of its own', async () => {
    assert.equal((await fetch(`${url}/dev/app`)).status, 200);
    const proxied = { headers: { 'x-forwarded-for': '192.0.2.1' } };
    assert.equal((await fetch(`${url}/dev/app`, proxied)).status, 403);
    const { app } = await startService();
    assert.equal((await fetch(`http://${app.httpAddress}/dev/app`)).status, 404);
  });

  it('signs up, in and out, by password and by passkey, and lists sessions', {
    skip: NO_CHROMIUM,
  }, async () => {
    const browser = await startChromium(await newProfile());
    const page = await browser.newPage();
    const session = await browser.newCDPSession(page);
    await session.send('WebAuthn.enable');
    await session.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    const email = newEmail();
    await page.goto(`${url}/dev/app`);
    await page.waitForSelector('#signed-out:not([hidden])');
    assert.deepEqual(await axeViolations(page), []);
    await page.fill('#email', email);
    await page.fill('#password', PASSWORD);
    await page.click('#sign-up');
    await page.waitForSelector('#result:text("mail is on its way")');
    let token = '';
    await eventually(async () => {
      const answer = await fetch(`${url}/dev/mailbox.json`);
      const mails = (await answer.json()) as { text: string }[];
      token = tokenIn(mails[0] ?? { text: '' }) ?? '';
      return token !== '';
    });
    await service.auth.verifyEmail({ token });
    await page.click('#sign-in button');
    await page.waitForSelector('#signed-in:not([hidden])');
    assert.equal(await page.textContent('#who'), email);
    assert.deepEqual(await axeViolations(page), []);
    await page.click('#add-passkey');
    await page.waitForSelector('#result:text("The passkey is added")');
    await page.reload();
    await page.waitForSelector('#signed-in:not([hidden])');
    await page.click('#sign-out');
    await page.waitForSelector('#signed-out:not([hidden])');
    assert.deepEqual(await browser.cookies(url), []);
    await page.reload();
    await page.waitForSelector('#signed-out:not([hidden])');
    await page.click('#passkey');
    await page.waitForSelector('#signed-in:not([hidden])');
    assert.equal(await page.textContent('#who'), email);
    assert.equal((await page.$$('#sessions tr')).length, 1);
    await page.goto(`${url}/dev/mailbox`);
    assert.deepEqual(await axeViolations(page), []);
  });

  it('signs in with a provider, who sends people back to it', { skip: NO_CHROMIUM }, async () => {
    const redirectUris = [`${url}/dev/app`];
    const peer = await Peer.start({ redirectUris });
    addProviders(service, [peer.settings({ redirect_uris: redirectUris })]);
    const { email, sub } = newcomer(peer);
    const browser = await startChromium(await newProfile());
    const page = await browser.newPage();
    // The provider asks nobody who they are: its address says so.
    await page.route(`${peer.issuer}/auth?*`, (route) => {
      const asked = route.request().url();
      if (asked.includes('login_hint')) return route.continue();
      const location = `${asked}&login_hint=${sub}`;
      return route.fulfill({ status: 302, headers: { location } });
    });
    await page.goto(`${url}/dev/app`);
    await page.click('button:text("Sign in with Example")');
    await page.waitForSelector('#signed-in:not([hidden])');
    assert.equal(await page.textContent('#who'), email);
    assert.equal(page.url(), `${url}/dev/app`);
    assert.equal((await browser.cookies(url))[0]?.name, '__Host-countersign');
    await page.reload();
    await page.waitForSelector('#signed-in:not([hidden])');
  });
});
