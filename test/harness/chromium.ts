import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { atEnd } from './at-end.ts';

const PATH = process.env['COUNTERSIGN_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Why tests in Chromium are skipped; false if they aren't. */
export const NO_CHROMIUM: string | false =
  !existsSync(PATH) &&
  'needs Chromium, in /usr/bin/chromium or where COUNTERSIGN_TEST_CHROMIUM says';

/** Starts Chromium. What it knows is kept in `profile`: give two of them one to restart a browser. */
export async function startChromium(
  profile: string,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  const launch = { executablePath: PATH, headless: true, args: FLAGS, timeout: 120_000 };
  const context = await chromium.launchPersistentContext(profile, { ...launch, ...options });
  atEnd(() => context.close().catch(() => {}));
  return context;
}

/** A folder for what a browser knows. */
export async function newProfile(): Promise<string> {
  const profile = await mkdtemp(join(tmpdir(), 'countersign-chromium-'));
  atEnd(() => rm(profile, { recursive: true, force: true }));
  return profile;
}

/** What axe-core objects to on a page, a line each. */
export async function axeViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
