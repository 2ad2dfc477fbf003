import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { masterKeyIn } from '../../src/platform/master-key.ts';
import { spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { temporaryDirectory } from '../harness/prepared.ts';

describe('the master key of the embedded default', () => {
  it('W05 is made by the next start if the last one was cut off while writing the file', async () => {
    const dataDir = temporaryDirectory();
    const env = {
      PATH: process.env['PATH'],
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_GRPC_ADDR: '127.0.0.1:0',
      COUNTERSIGN_HTTP_ADDR: '127.0.0.1:0',
    };
    // The system lets it make files, and write nothing into them.
    const script = 'ulimit -f 0; exec "$0" dist/src/main.js serve';
    const cut = spawnSync('sh', ['-c', script, process.execPath], { env });
    assert.notEqual(cut.status, 0);
    assert.ok(existsSync(dataDir) && !existsSync(join(dataDir, 'master.key')));
    await embeddedDirectory(dataDir);
    const child = await spawnService({ COUNTERSIGN_DATA_DIR: dataDir });
    atEnd(() => child.end());
    assert.equal(statSync(join(dataDir, 'master.key')).mode & 0o777, 0o600);
  });

  it('W05 is made if a crash of an earlier version left an empty file', async () => {
    const dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, 'master.key'), '');
    const made = await masterKeyIn(dataDir);
    assert.equal(made.get(1)?.length, 32);
    assert.deepEqual(await masterKeyIn(dataDir), made);
  });

  it('is not made again if a database may hold data that the lost one sealed', async () => {
    for (const text of ['', 'c2hvcnQ=']) {
      const dataDir = temporaryDirectory();
      mkdirSync(join(dataDir, 'postgres'));
      writeFileSync(join(dataDir, 'master.key'), text);
      await assert.rejects(
        masterKeyIn(dataDir),
        /master.key does not hold 32 bytes .* from a copy/,
      );
      assert.equal(readFileSync(join(dataDir, 'master.key'), 'utf8'), text);
    }
  });

  it('is the same for all processes that make it at once', async () => {
    const dataDir = temporaryDirectory();
    const keys = await Promise.all(Array.from({ length: 8 }, () => masterKeyIn(dataDir)));
    assert.equal(new Set(keys.map((key) => key.get(1)?.toString('hex'))).size, 1);
  });
});
