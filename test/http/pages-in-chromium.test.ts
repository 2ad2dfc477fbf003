import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';
import { untilFileEnds } from '../harness/at-end.ts';
import { axeViolations, NO_CHROMIUM, newProfile, startChromium } from '../harness/chromium.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { createAccount, NEW_PASSWORD, signIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

const PATHS = ['/verify-email', '/reset-password', '/confirm-email-change', '/secure-account'];
const WIDTHS = [375, 1280];
const APP_URL = 'https://app.acme.example/in';

describe('The pages of mailed links in Chromium', { skip: NO_CHROMIUM }, () => {
  let service: Service;
  let browser: BrowserContext;
  let page: Page;
  const complaints: string[] = [];

  before(async () => {
    await untilFileEnds(async () => {
      service = await startService({
        env: { COUNTERSIGN_APP_URL: APP_URL, COUNTERSIGN_BRAND_COLOR: '#ffcc00' },
      });
      browser = await startChromium(await newProfile());
    });
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
  });

  const open = async (path: string, token = '') => {
    // Another fragment alone would not load the page again.
    await page.goto('about:blank');
    await page.goto(`${service.app.publicUrl}${path}${token && `#token=${token}`}`);
  };

  for (const scheme of ['light', 'dark'] as const) {
    it(`have nothing that axe-core objects to, and fit, when it is ${scheme}`, async () => {
      await page.emulateMedia({ colorScheme: scheme });
      for (const path of PATHS) {
        for (const token of ['', 'csm_x']) {
          await open(path, token);
          if (await page.$('#password')) await page.fill('#password', 'short');
          for (const width of WIDTHS) {
            await page.setViewportSize({ width, height: 700 });
            const isWide = 'document.documentElement.scrollWidth > innerWidth';
            assert.equal(await page.evaluate(isWide), false, `${path} ${width}`);
          }
          assert.deepEqual(await axeViolations(page), [], path);
        }
      }
      assert.deepEqual(complaints, []);
    });
  }

  it('set a password by keyboard alone, from the mail to the app', async () => {
    const email = await createAccount(service);
    await service.auth.requestPasswordReset({ email });
    const token = tokenIn(await service.mail.next(email, /Set a new/)) ?? '';
    await open('/reset-password', token);
    assert.doesNotMatch(page.url(), /token/);
    await page.keyboard.press('Tab');
    await page.keyboard.type('short');
    const reason = () => page.textContent('#reason');
    assert.match((await reason()) ?? '', /^Too short: 5 of 12/);
    assert.equal(await page.getAttribute('#password', 'aria-invalid'), 'true');
    // Refused here already: nothing is sent.
    await page.keyboard.press('Enter');
    assert.equal(await page.textContent('#result'), '');
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText('password12345');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.equal(await page.getAttribute('#password', 'type'), 'text');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#reason:text("on a list")');
    assert.match((await reason()) ?? '', /refused: it is on a list of common passwords/);
    // The field has the focus again.
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(NEW_PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#next:not([hidden])');
    assert.match((await page.textContent('#result')) ?? '', /password is set/);
    assert.equal(await page.getAttribute('#next a', 'href'), APP_URL);
    assert.deepEqual(await axeViolations(page), []);
    await signIn(service, email, NEW_PASSWORD);
    await open('/reset-password', token);
    await page.fill('#password', NEW_PASSWORD);
    await page.press('#password', 'Enter');
    await page.waitForSelector('#result:not(:empty)');
    assert.match((await page.textContent('#result')) ?? '', /^This link has been used/);
  });

  it('say that a link is not complete', async () => {
    await open('/verify-email');
    assert.match((await page.textContent('#result')) ?? '', /not complete/);
    assert.equal(await page.isDisabled('#submit'), true);
  });
});
