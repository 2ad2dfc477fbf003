import { spawnSync } from 'node:child_process';
import { postgres } from '../test/servers.ts';
import type { Cleanups } from './cleanups.ts';
import type { RowOptions } from './row.ts';
import { type RunningService, startService } from './service.ts';

const COUNTERSIGN_MASTER_KEY = Buffer.alloc(32, 7).toString('base64');

/** The service on a PostgreSQL server as the tests have it, without limits and proofs of addresses. */
export async function startOnPostgres(
  cleanups: Cleanups,
  { profileDirectory }: RowOptions,
): Promise<RunningService & { databaseUrl: string }> {
  const server = await postgres({ fsync: 'on' });
  cleanups.add(() => server.stop());
  const env = { DATABASE_URL: server.url, COUNTERSIGN_MASTER_KEY };
  const { status, stderr } = spawnSync(process.execPath, ['src/main.ts', 'migrate'], {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the migrations failed:\n${stderr}`);
  const service = await startService(cleanups, {
    dataDir: cleanups.directory(),
    profileDirectory,
    env: {
      ...env,
      COUNTERSIGN_RATE_LIMITS: 'off',
      COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
    },
  });
  return { ...service, databaseUrl: server.url };
}
