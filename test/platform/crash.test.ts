import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { type Child, type Environment, spawnService } from '../child.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase } from '../harness/database.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { PASSWORD } from '../harness/people.ts';
import { CRASHES } from '../harness/scale.ts';

const FAST_HASHES = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '10s',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '10s',
  COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
  COUNTERSIGN_ARGON2_TIME_COST: '1',
  COUNTERSIGN_RATE_LIMITS: 'off',
  COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
  COUNTERSIGN_LOG_LEVEL: 'warn',
};

/** What clients were told: addresses signed up with, and each session's newest refresh token. */
type Acknowledged = { emails: string[]; tokens: Map<string, string> };

/** Signs up, signs in and refreshes until the service dies. */
async function work(child: Child, round: number, acknowledged: Acknowledged): Promise<void> {
  const auth = clients(child).client(AuthService);
  const person = async (index: number) => {
    const email = `crash-${round}-${index}@example.com`;
    await auth.signUp({ email, password: PASSWORD });
    acknowledged.emails.push(email);
    const { outcome } = await auth.login({ email, password: PASSWORD });
    if (outcome.case !== 'tokens') throw new Error('no tokens');
    acknowledged.tokens.set(outcome.value.sessionId, outcome.value.refreshToken);
    for (let { refreshToken } = outcome.value; ; ) {
      const { tokens } = await auth.refreshToken({ refreshToken });
      refreshToken = tokens?.refreshToken ?? '';
      acknowledged.tokens.set(outcome.value.sessionId, refreshToken);
    }
  };
  await Promise.allSettled([0, 1, 2, 3].map(person));
}

/**
 * Everything acknowledged is there, and every session has one live token: the newest acknowledged
 * one, or its successor where the service died between its commit and its answer.
 */
async function verify(child: Child, { emails, tokens }: Acknowledged): Promise<void> {
  const { auth } = clients(child);
  for (const refreshToken of tokens.values()) {
    const first = await auth.refreshToken({ refreshToken });
    const again = await auth.refreshToken({ refreshToken });
    assert.equal(again.tokens?.refreshToken, first.tokens?.refreshToken);
  }
  for (const email of emails) {
    const { outcome } = await auth.login({ email, password: PASSWORD });
    assert.equal(outcome.case, 'tokens', email);
  }
}

/** Kills the service again and again in the middle of its work. */
async function crash(env: Environment, rounds: number): Promise<void> {
  let acknowledged: Acknowledged = { emails: [], tokens: new Map() };
  for (let round = 0; round < rounds; round += 1) {
    const child = await spawnService(env);
    await verify(child, acknowledged);
    acknowledged = { emails: [], tokens: new Map() };
    const { tokens } = acknowledged;
    const working = work(child, round, acknowledged);
    await eventually(() => tokens.size > round % 4, 20_000);
    await sleep((round * 37) % 200);
    assert.equal(await child.end('SIGKILL'), 'SIGKILL');
    await working;
  }
  const child = await spawnService(env);
  await verify(child, acknowledged);
  await child.end();
}

describe('kill -9', () => {
  it('W05 loses nothing that was acknowledged, on PostgreSQL', async () => {
    const databaseUrl = await createDatabase();
    const masterKey = Buffer.alloc(32, 7).toString('base64');
    const env = { DATABASE_URL: databaseUrl, COUNTERSIGN_MASTER_KEY: masterKey };
    await crash({ ...FAST_HASHES, ...env }, CRASHES);
  });

  it('W14 W05 loses nothing that was acknowledged, on the embedded database', async () => {
    await crash(
      { ...FAST_HASHES, COUNTERSIGN_DATA_DIR: await embeddedDirectory() },
      Math.ceil(CRASHES / 2),
    );
  });
});
