import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runProcess, spawnService } from '../child.ts';
import { runCommand } from '../harness/command.ts';
import { createDatabase } from '../harness/database.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { temporaryDirectory } from '../harness/prepared.ts';

const KEY = Buffer.alloc(32, 9).toString('base64');

describe('the countersign command', () => {
  it('lists what is wrong with the configuration, exits with 78, and starts nothing', async () => {
    const dataDir = join(temporaryDirectory(), 'data');
    const { code, text } = await runProcess(['serve'], {
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_HTTP_ADDR: 'here',
      COUNTERSIGN_LOG_LEVEL: 'loud',
    });
    assert.equal(code, 78);
    assert.match(text, /COUNTERSIGN_HTTP_ADDR .*\n.*COUNTERSIGN_LOG_LEVEL /);
    assert.ok(!existsSync(dataDir));
  });

  it('migrates, and then has nothing left to migrate', async () => {
    const env = { DATABASE_URL: await createDatabase(), COUNTERSIGN_MASTER_KEY: KEY };
    const { code, text } = await runProcess(['migrate', '--json'], env);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(text), { applied: [] });
  });

  it('prints the effective configuration without its secrets', async () => {
    const { code, text } = await runCommand(['config', '--json'], {
      DATABASE_URL: 'postgres://user:sesame@host/db',
      COUNTERSIGN_MASTER_KEY: KEY,
    });
    assert.equal(code, 0);
    assert.equal(JSON.parse(text).databaseUrl, '********');
    assert.doesNotMatch(text, /sesame/);
  });

  it('warns about a variable that it does not know, and continues', async () => {
    const { code, text } = await runCommand(['config'], { COUNTERSIGN_ISUER: 'https://x' });
    assert.equal(code, 0);
    assert.match(text, /COUNTERSIGN_ISUER/);
  });

  it('prints its usage if the command is unknown, and exits with 64', async () => {
    const { code, text } = await runProcess(['serv'], {});
    assert.equal(code, 64);
    assert.match(text, /Usage: countersign/);
  });

  it('says that another process has the data directory', async () => {
    const env = {
      COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
      COUNTERSIGN_GRPC_ADDR: '127.0.0.1:0',
      COUNTERSIGN_HTTP_ADDR: '127.0.0.1:0',
    };
    const first = await spawnService({ COUNTERSIGN_DATA_DIR: env.COUNTERSIGN_DATA_DIR });
    const second = await runProcess(['serve'], env);
    await first.end();
    assert.equal(second.code, 1);
    assert.match(second.text, /in use by another Countersign process/);
  });
});
