import { spawnSync } from 'node:child_process';
import { postgres } from '../test/servers.ts';
import type { Cleanups } from './cleanups.ts';

/** A PostgreSQL server as the tests have it, with the schema. Gives its URL. */
export async function startPostgres(cleanups: Cleanups): Promise<string> {
  const server = await postgres();
  cleanups.add(() => server.stop());
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: server.url,
    COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
  };
  const { status, stderr } = spawnSync(process.execPath, ['src/main.ts', 'migrate'], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the migrations failed:\n${stderr}`);
  return server.url;
}
