import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { before, describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { NO_CHROMIUM, newProfile, startChromium } from '../harness/chromium.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { type Service, startService } from '../harness/service.ts';

const BUNDLE = '/docs/swagger-ui-bundle.js';

describe('/docs', () => {
  let service: Service;
  let url: string;

  before(async () => {
    const env = { DATABASE_URL: '', SMTP_URL: '', COUNTERSIGN_DATA_DIR: await embeddedDirectory() };
    service = await startService({ env });
    url = service.app.publicUrl;
  });

  it('W11 lets only its own script and style run, each page under a nonce of its own', async () => {
    const page = await fetch(`${url}/docs`);
    const policy = page.headers.get('content-security-policy') ?? '';
    const [, nonce = ''] = /script-src 'nonce-([\w+/=]+)';/.exec(policy) ?? [];
    assert.equal(Buffer.from(nonce, 'base64').length, 16);
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.match(policy, /connect-src 'self'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(page.headers.get('cache-control'), 'no-store');
    const other = await fetch(`${url}/docs`);
    assert.notEqual(other.headers.get('content-security-policy'), policy);
    const scripts = (await page.text()).match(/<(?:script|style|link rel="stylesheet")[^>]*>/g);
    assert.equal(scripts?.length, 4);
    for (const tag of scripts ?? []) assert.ok(tag.includes(`nonce="${nonce}"`), tag);
  });

  it('W11 answers to the hosts of the service only', async () => {
    for (const path of ['/docs', BUNDLE, '/openapi.json']) {
      const [host, port] = service.app.httpAddress.split(':');
      const status = await new Promise((resolve, reject) => {
        const headers = { host: 'rebound.example.com' };
        request({ host, port, path, headers }, (res) => resolve(res.resume().statusCode))
          .on('error', reject)
          .end();
      });
      assert.equal(status, 421, path);
    }
  });

  it('has the files of Swagger UI as they are, by HTTP/1.1 and HTTP/2', async () => {
    const file = readFileSync('node_modules/swagger-ui-dist/swagger-ui-bundle.js');
    const answer = await fetch(`${url}${BUNDLE}`);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), file);
    assert.equal(answer.headers.get('content-length'), String(file.length));
    assert.match(answer.headers.get('content-type') ?? '', /^text\/javascript/);
    const session = connect(url);
    atEnd(() => session.close());
    const stream = session.request({ ':path': BUNDLE });
    assert.deepEqual(Buffer.concat(await Array.fromAsync(stream)), file);
    const styles = await fetch(`${url}/docs/swagger-ui.css`, { method: 'HEAD' });
    assert.match(styles.headers.get('content-type') ?? '', /^text\/css/);
  });

  it('offers a new account in the embedded default only', async () => {
    assert.match(await (await fetch(`${url}/docs`)).text(), /id="newcomer"/);
    const { app } = await startService();
    const page = await fetch(`http://${app.httpAddress}/docs`);
    assert.equal(page.status, 200);
    assert.doesNotMatch(await page.text(), /newcomer|mailbox/);
  });

  it('W11 shows the contract without breaking its policy, and makes a call as a new account', {
    skip: NO_CHROMIUM,
  }, async () => {
    const browser = await startChromium(await newProfile());
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('console', (line) => {
      if (line.type() === 'error' || line.type() === 'warning') problems.push(line.text());
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    const others = encodeURIComponent('http://127.0.0.1:1/openapi.json');
    await page.goto(`${url}/docs?url=${others}&configUrl=${others}`);
    await page.waitForSelector('#operations-tag-AccountService');
    await page.click('#newcomer');
    await page.waitForSelector('#said:text("Signed in as")');
    const email = /docs-\d+@example\.com/.exec((await page.textContent('#said')) ?? '')?.[0];
    await page.click('#operations-tag-AccountService');
    const operation = '#operations-AccountService-AccountService_GetMe';
    await page.click(`${operation} .opblock-summary-control`);
    await page.click(`${operation} .execute`);
    const answer = `${operation} .live-responses-table .response`;
    await page.waitForSelector(answer);
    const said = (await page.textContent(answer)) ?? '';
    assert.ok(said.includes(email ?? 'nobody'), said);
    assert.deepEqual(problems, []);
    const injected = `document.body.append(Object.assign(document.createElement('script'), { textContent: 'injected = 1' }))`;
    await page.evaluate(injected);
    assert.equal(await page.evaluate('typeof injected'), 'undefined');
    assert.match(problems.join(), /Content Security Policy/);
  });
});
