import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  createAccount,
  newEmail,
  PASSWORD,
  PATIENT,
  type Service,
  sql,
  startService,
} from '../harness.ts';

/**
 * The promise is measured with 2,000 pairs and holds within 0.05; fewer tell the same more coarsely
 * in the time that a test may take.
 */
const PAIRS = Number(process.env['COUNTERSIGN_TEST_TIMING_PAIRS'] ?? 150);
const TOLERANCE = PAIRS >= 2000 ? 0.05 : 0.12;
const AT_ONCE = 8;

type Call = () => Promise<unknown>;

async function duration(call: Call): Promise<number> {
  const from = performance.now();
  await call().catch(() => {});
  return performance.now() - from;
}

/** The chance that a call of one kind takes longer than one of the other: 0.5 tells nothing. */
async function distinguishability(one: Call, other: Call): Promise<number> {
  const [ones, others]: [number[], number[]] = [[], []];
  const measure = async () => {
    while (ones.length + others.length < 2 * PAIRS) {
      // In random order, so that neither kind always follows the other.
      const first = Math.random() < 0.5;
      (first ? ones : others).push(await duration(first ? one : other));
      (first ? others : ones).push(await duration(first ? other : one));
    }
  };
  for (let i = 0; i < 5; i += 1) await Promise.all([duration(one), duration(other)]);
  await Promise.all(Array.from({ length: AT_ONCE }, measure));
  let longer = 0;
  for (const a of ones) for (const b of others) longer += a > b ? 1 : a === b ? 0.5 : 0;
  return longer / (ones.length * others.length);
}

describe('Whether an account exists', () => {
  let service: Service;
  // Several of each, since calls for one account wait for each other.
  const taken: string[] = [];
  const unverified: string[] = [];
  const suspended: string[] = [];

  before(async () => {
    service = await startService({ env: PATIENT });
    for (let i = 0; i < AT_ONCE; i += 1) {
      taken.push(await createAccount(service));
      suspended.push(await createAccount(service));
      unverified.push(newEmail());
      await signUp(unverified.at(-1) ?? '');
    }
    await sql(
      service.databaseUrl,
      `update accounts set state = 'suspended' where email = any($1)`,
      [suspended],
    );
  });

  let turn = 0;
  const next = (emails: string[]) => emails[turn++ % emails.length] ?? '';

  const signUp = (email: string) =>
    service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
  const resend = (email: string) => service.auth.resendVerification({ email });
  const login = (email: string) =>
    service.auth.login({ email, password: `${PASSWORD}!`, deviceLabel: '' });

  const hidden = async (one: Call, other: Call) => {
    const chance = await distinguishability(one, other);
    assert.ok(Math.abs(chance - 0.5) <= TOLERANCE, `told apart with the chance ${chance}`);
  };

  it('C04 is not told by the time of a sign-up', async () => {
    await hidden(
      () => signUp(newEmail()),
      () => signUp(next(taken)),
    );
  });

  it('C04 is not told by the time of asking for another mail', async () => {
    await hidden(
      () => resend(newEmail()),
      () => resend(next(unverified)),
    );
  });

  it('C04 is not told by the time of a failed sign-in', async () => {
    for (const existing of [taken, unverified, suspended]) {
      await hidden(
        () => login(newEmail()),
        () => login(next(existing)),
      );
    }
  });
});
