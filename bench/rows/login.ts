import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cleanups, finished } from '../cleanups.ts';
import { signInsOf } from '../people.ts';
import { startPostgres } from '../postgres.ts';
import type { Contestant, Row } from '../row.ts';
import { startService } from '../service.ts';

const AT_ONCE = 16;
const GRACE_MS = 10_000;

/** Whole sign-ins on PostgreSQL, with their session and their events: hashing is the physical limit. */
export const login: Row = {
  name: 'Login',
  about: 'AuthService/Login of 64 people, 16 at once, PostgreSQL, against bare argon2.verify',
  target: 0.9,
  async prepare(cleanups, { profileDirectory }) {
    const databaseUrl = await startPostgres(cleanups);
    const service = await startService(cleanups, {
      dataDir: cleanups.directory(),
      profileDirectory,
      env: {
        DATABASE_URL: databaseUrl,
        COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
        COUNTERSIGN_RATE_LIMITS: 'off',
        COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
      },
    });
    return [await signIns(service.grpcAddress), bareArgon2(cleanups)];
  },
};

async function signIns(address: string): Promise<Contestant> {
  const people = await signInsOf(address);
  return {
    name: 'the service',
    check: async () => void (await people.signIn()),
    async perSecond(seconds) {
      const startedAt = performance.now();
      const storm = people.storm(AT_ONCE);
      await sleep(seconds * 1000);
      const elapsedMs = performance.now() - startedAt;
      return (await storm.stop()) / (elapsedMs / 1000);
    },
  };
}

/** A process that does nothing but check one password again and again, on all cores. */
function bareArgon2(cleanups: Cleanups): Contestant {
  const measure = async (seconds: number) => {
    const args = ['bench/argon2-verify.ts', String(seconds)];
    const child = cleanups.process(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return Number(await finished(child, seconds * 1000 + GRACE_MS));
  };
  return {
    name: 'bare argon2.verify',
    check: async () => assert.ok((await measure(1)) > 0),
    perSecond: measure,
  };
}
