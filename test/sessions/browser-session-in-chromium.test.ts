import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserContext, Page } from 'playwright-core';
import { atEnd, untilFileEnds } from '../harness/at-end.ts';
import { NO_CHROMIUM, newProfile, startChromium } from '../harness/chromium.ts';
import { sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { createAccount, PASSWORD } from '../harness/people.ts';
import { TAB_MINUTES } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';
import { rotatedEarlier } from './rotated-earlier.ts';

const METHODS = '/countersign.v1.AuthService';

/** What a page's call came to: the message, or why there is none. */
type Outcome = { status: number; body: { tokens?: { sessionId: string }; message?: string } };

/** Serves an empty page to whatever names lead here, and returns its port. */
async function emptyPages(): Promise<number> {
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'text/html');
    res.end('<!doctype html><title>a page</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** Calls a method as a page does, by its own script. */
function callFrom(page: Page, url: string, method: string, request: object = {}): Promise<Outcome> {
  const init = {
    method: 'POST',
    credentials: 'include',
    headers: { 'content-type': 'application/json', 'x-countersign-session': 'cookie' },
    body: JSON.stringify(request),
  };
  return page.evaluate<Outcome>(
    `fetch(${JSON.stringify(`${url}${METHODS}/${method}`)}, ${JSON.stringify(init)})
      .then(async (answer) => ({ status: answer.status, body: await answer.json() }))
      .catch((error) => ({ status: 0, body: { message: String(error) } }))`,
  );
}

/** Browsers resolve names below `localhost` themselves, and trust them as they trust TLS. */
describe('A session in Chromium', { skip: NO_CHROMIUM }, () => {
  let service: Service;
  let url: string;
  let listed: string;
  let pagesPort: number;

  before(async () => {
    await untilFileEnds(async () => {
      pagesPort = await emptyPages();
      const port = await freePort();
      url = `http://id.site.localhost:${port}`;
      listed = `http://app.site.localhost:${pagesPort}`;
      service = await startService({
        env: {
          COUNTERSIGN_HTTP_ADDR: `127.0.0.1:${port}`,
          COUNTERSIGN_PUBLIC_URL: url,
          COUNTERSIGN_CORS_ORIGINS: listed,
        },
      });
    });
  });

  const ownPage = async (browser: BrowserContext): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(`${url}/verify-email`);
    return page;
  };

  async function signInOn(page: Page): Promise<string> {
    const request = { email: await createAccount(service), password: PASSWORD };
    const { status, body } = await callFrom(page, url, 'Login', request);
    assert.equal(status, 200, body.message);
    await sql(service.databaseUrl, 'update sessions set rotated_at = now() where id = $1', [
      body.tokens?.sessionId,
    ]);
    return body.tokens?.sessionId ?? '';
  }

  async function cookieOf(browser: BrowserContext): Promise<string> {
    const cookies = await browser.cookies(url);
    assert.deepEqual(
      cookies.map(({ name }) => name),
      ['__Host-countersign'],
    );
    const { value = '' } = cookies[0] ?? {};
    noteSecret(value);
    return value;
  }

  async function stateOf(sessionId: string) {
    const [row] = await sql<{ refresh_generation: number; end_cause: string | null }>(
      service.databaseUrl,
      'select refresh_generation, end_cause from sessions where id = $1',
      [sessionId],
    );
    return row;
  }

  it('W11 is in a cookie that no script reads, as long as the token lasts, also after a restart', async () => {
    const profile = await newProfile();
    const first = await startChromium(profile);
    const page = await ownPage(first);
    const sessionId = await signInOn(page);
    const [cookie] = await first.cookies(url);
    assert.equal(await page.evaluate('document.cookie'), '');
    assert.deepEqual(
      [cookie?.httpOnly, cookie?.secure, cookie?.sameSite, cookie?.path, cookie?.domain],
      [true, true, 'Strict', '/', 'id.site.localhost'],
    );
    const days = ((cookie?.expires ?? 0) - Date.now() / 1000) / 86_400;
    assert.ok(days > 13.9 && days <= 14, String(days));
    await first.close();
    const second = await startChromium(profile);
    const { status, body } = await callFrom(await ownPage(second), url, 'RefreshToken');
    assert.deepEqual([status, body.tokens?.sessionId], [200, sessionId]);
    await second.close();
  });

  it('W11 S07 survives three tabs that refresh at once, and one that is reloaded meanwhile', async () => {
    const browser = await startChromium(await newProfile());
    const tabs = await Promise.all([1, 2, 3].map(() => ownPage(browser)));
    const [reloaded, ...others] = tabs as [Page, Page, Page];
    const sessionId = await signInOn(reloaded);
    for (let round = 0; round < 10; round += 1) {
      // As if the minutes of a round had passed.
      await rotatedEarlier(service, sessionId, '2 minutes');
      const lost = callFrom(reloaded, url, 'RefreshToken').catch(() => undefined);
      const answers = others.map((tab) => callFrom(tab, url, 'RefreshToken'));
      await reloaded.reload();
      answers.push(callFrom(reloaded, url, 'RefreshToken'));
      for (const { status, body } of await Promise.all(answers)) {
        assert.deepEqual([status, body.tokens?.sessionId], [200, sessionId], body.message);
      }
      await lost;
    }
    assert.deepEqual(await stateOf(sessionId), { refresh_generation: 10, end_cause: null });
    await browser.close();
  });

  it('W11 S07 survives minutes of three tabs that refresh and reload as people do', async (t) => {
    if (TAB_MINUTES === 0) return t.skip('npm run test:long takes ten minutes for it');
    const browser = await startChromium(await newProfile());
    const tabs = await Promise.all([1, 2, 3].map(() => ownPage(browser)));
    const sessionId = await signInOn(tabs[0] as Page);
    const until = Date.now() + TAB_MINUTES * 60_000;
    const use = async (tab: Page) => {
      while (Date.now() < until) {
        const { status, body } = await callFrom(tab, url, 'RefreshToken');
        assert.deepEqual([status, body.tokens?.sessionId], [200, sessionId], body.message);
        await sleep(Math.random() * 8000);
        if (Math.random() < 0.3) await tab.reload();
      }
    };
    await Promise.all(tabs.map(use));
    const { refresh_generation: rotations = 0, end_cause } = (await stateOf(sessionId)) ?? {};
    assert.equal(end_cause, null);
    // At most once a minute, however many tabs ask.
    assert.ok(rotations > 0 && rotations <= TAB_MINUTES, String(rotations));
    await browser.close();
  });

  it('W11 is used by a page of a listed origin, and by no other host, site or form', async () => {
    const browser = await startChromium(await newProfile());
    const page = await browser.newPage();
    await page.goto(listed);
    const sessionId = await signInOn(page);
    await rotatedEarlier(service, sessionId, '2 minutes');
    const cookie = await cookieOf(browser);
    for (const host of ['evil.site.localhost', 'site.localhost', 'other.localhost']) {
      const evil = await browser.newPage();
      await evil.goto(`http://${host}:${pagesPort}`);
      for (const method of ['RefreshToken', 'Logout']) {
        const { status } = await callFrom(evil, url, method);
        assert.equal(status, 0, `${host} ${method}`);
        await evil.evaluate(`fetch(${JSON.stringify(`${url}${METHODS}/${method}`)}, {
          method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}',
        }).catch(() => {})`);
        await postForm(browser, evil.url(), `${url}${METHODS}/${method}`);
      }
      // A host beside the service plants a cookie for all hosts of the site.
      await evil.evaluate(`document.cookie =
        '__Host-countersign=csr_evil; domain=site.localhost; path=/; secure'`);
      await evil.close();
    }
    assert.equal(await cookieOf(browser), cookie);
    assert.deepEqual(await stateOf(sessionId), { refresh_generation: 0, end_cause: null });
    const { status, body } = await callFrom(page, url, 'RefreshToken');
    assert.deepEqual([status, body.tokens?.sessionId], [200, sessionId], body.message);
    assert.notEqual(await cookieOf(browser), cookie);
    const out = await callFrom(page, url, 'Logout');
    assert.equal(out.status, 200);
    assert.deepEqual(await browser.cookies(url), []);
    await browser.close();
  });

  /** Submits a form of a page, whose answer the browser shows. Its body reads as JSON. */
  async function postForm(browser: BrowserContext, from: string, action: string): Promise<void> {
    const page = await browser.newPage();
    await page.goto(from);
    const answered = page.waitForResponse(action);
    await page.evaluate(`(() => {
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', enctype: 'text/plain', action: ${JSON.stringify(action)} });
      const input = document.createElement('input');
      Object.assign(input, { name: '{"refreshToken":"', value: '"}' });
      form.append(input);
      document.body.append(form);
      form.submit();
    })()`);
    assert.notEqual((await answered).status(), 200);
    await page.close();
  }
});
