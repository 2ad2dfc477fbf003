import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { freePort } from '../servers.ts';

const NOBODY = 65_534;

/** What the Dockerfile puts into the image and makes it run, without the image. */
describe('the image', () => {
  const isRoot = process.getuid?.() === 0;

  before(() => {
    const built = spawnSync(process.execPath, ['deploy/bundle.ts', '--if-changed'], {
      encoding: 'utf8',
    });
    assert.equal(built.status, 0, built.stderr);
  });

  it('copies and runs only files that exist', () => {
    const dockerfile = readFileSync('Dockerfile', 'utf8');
    for (const [, path = ''] of dockerfile.matchAll(/^COPY (?!--)(\S+)/gm)) accessSync(path);
    for (const [, path = ''] of dockerfile.matchAll(/"(dist\/[\w./-]+)"/g)) accessSync(path);
    assert.match(dockerfile, /^USER node$/m);
  });

  it('brings the schema as a descriptor set', () => {
    const brought = readFileSync('dist/countersign.binpb');
    assert.deepEqual(brought, readFileSync('gen/countersign.binpb'));
  });

  it('has its entry last, so that a build that was interrupted is made again', () => {
    const files = readdirSync('dist/src').map((name) => ({
      name,
      writtenAt: statSync(join('dist/src', name)).ctimeMs,
    }));
    const entry = files.find(({ name }) => name === 'main.js');
    const later = files.filter(({ writtenAt }) => writtenAt > (entry?.writtenAt ?? 0));
    assert.deepEqual(later, []);
  });

  it('serves from dist as an unprivileged user, and its health check says when it is ready', async (t) => {
    // Not within the suite's own directory, which is closed to other users.
    const dataDir = mkdtempSync(join(tmpdir(), 'countersign-image-'));
    atEnd(() => rmSync(dataDir, { recursive: true, force: true }));
    await embeddedDirectory(dataDir);
    if (isRoot) spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, dataDir]);
    if (isRoot && !readableByOthers('.')) return t.skip('other users may not read this checkout');
    const env = {
      PATH: process.env['PATH'],
      TMPDIR: dataDir,
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_GRPC_ADDR: `0.0.0.0:${await freePort()}`,
      COUNTERSIGN_HTTP_ADDR: `0.0.0.0:${await freePort()}`,
    };
    const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
    const run = (...args: string[]) =>
      spawn(process.execPath, args, { env, ...user, stdio: 'ignore' });
    const check = async () => (await once(run('dist/src/health-check.js'), 'exit'))[0];
    assert.equal(await check(), 1);
    const service = run('dist/src/main.js', 'serve');
    const ended = once(service, 'exit');
    atEnd(() => service.kill('SIGKILL'));
    let healthy = await check();
    for (let tries = 0; healthy !== 0 && tries < 60; tries += 1) {
      await sleep(250);
      healthy = await check();
    }
    assert.equal(healthy, 0);
    service.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert.equal(await check(), 1);
  });
});

/** Whether another user can reach a directory: each above it must let them pass. */
function readableByOthers(path: string): boolean {
  let at = `${process.cwd()}/${path}`;
  accessSync(at, constants.R_OK);
  for (; at !== '/'; at = at.slice(0, at.lastIndexOf('/')) || '/') {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}
