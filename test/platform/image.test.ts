import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
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
import { atEnd, atFileEnd } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { freePort } from '../servers.ts';

const USER = 65_532;

/** What the Dockerfile puts into the image and makes it run, without the image. */
describe('the image', () => {
  const isRoot = process.getuid?.() === 0;
  let folder: string;

  before(() => {
    folder = temporary('app');
    for (const args of [
      ['deploy/bundle.ts', '--if-changed'],
      ['deploy/image.ts', folder],
    ]) {
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    }
    spawnSync('chmod', ['-R', 'a-w', folder]);
  });

  it('copies and runs only files that exist', () => {
    const dockerfile = readFileSync('Dockerfile', 'utf8');
    for (const [, path = ''] of dockerfile.matchAll(/^COPY (?!--)(\S+)/gm)) accessSync(path);
    for (const [, path = ''] of dockerfile.matchAll(/"(dist\/[\w./-]+)"/g)) accessSync(path);
    const users = [...dockerfile.matchAll(/^USER (.*)$/gm)].map(([, user]) => user);
    assert.equal(users.at(-1), `${USER}:${USER}`);
  });

  it('brings the schema as a descriptor set', () => {
    const brought = readFileSync('dist/countersign.binpb');
    assert.deepEqual(brought, readFileSync('gen/countersign.binpb'));
  });

  it('brings the contract in OpenAPI, and the two files of Swagger UI with their licences', () => {
    assert.deepEqual(readFileSync('dist/openapi.json'), readFileSync('gen/openapi.json'));
    const brought = readdirSync('dist/swagger-ui');
    assert.equal(brought.length, 5);
    for (const name of brought) {
      const original = readFileSync(join('node_modules/swagger-ui-dist', name));
      assert.ok(readFileSync(join('dist/swagger-ui', name)).equals(original), name);
    }
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

  it('brings the licence of every library in it', () => {
    const notices = readFileSync('dist/THIRD-PARTY-NOTICES.txt', 'utf8');
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    const without = Object.entries(dependencies).filter(
      ([name, version]) => !notices.includes(`\n${name} ${version} (`),
    );
    assert.deepEqual(without, []);
    assert.match(notices, /Permission is hereby granted, free of charge/);
    accessSync(join(folder, 'dist/THIRD-PARTY-NOTICES.txt'));
  });

  it('has no source maps, sources, types or binaries of other systems', () => {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const others = /\.(map|ts|cc?|h|md)$|node_modules\/.*(musl|win32|darwin)/;
    assert.deepEqual(
      files.filter((file) => others.test(file)),
      [],
    );
  });

  it('serves as a user who may write nothing but its data, and its health check says when it is ready', async (t) => {
    if (isRoot && !readableByOthers('.')) return t.skip('other users may not read this checkout');
    const dataDir = temporary('data');
    await embeddedDirectory(dataDir);
    if (isRoot) spawnSync('chown', ['-R', `${USER}:${USER}`, dataDir]);
    const http = `0.0.0.0:${await freePort()}`;
    const env = {
      HOME: '/nonexistent',
      TMPDIR: '/nonexistent',
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_GRPC_ADDR: `0.0.0.0:${await freePort()}`,
      COUNTERSIGN_HTTP_ADDR: http,
    };
    const check = async () => (await once(run(env, 'dist/src/health-check.js'), 'exit'))[0];
    assert.equal(await check(), 1);
    const service = run(env, 'dist/src/main.js', 'serve');
    const ended = once(service, 'exit');
    atEnd(() => service.kill('SIGKILL'));
    await eventually(async () => (await check()) === 0, 60_000);
    // What judges passwords reads its lists, and what hashes them is native.
    assert.equal(await signUp(http, 'violet otters juggle granite'), 200);
    assert.equal(await signUp(http, 'password12345'), 400);
    for (const path of ['/openapi.json', '/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css']) {
      const address = http.replace('0.0.0.0', '127.0.0.1');
      assert.equal((await fetch(`http://${address}${path}`)).status, 200, path);
    }
    service.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert.equal(await check(), 1);
  });

  it('verifies the hashes of imported accounts by native code', async () => {
    const script = `
      import argon2 from 'argon2';
      import bcrypt from 'bcrypt';
      const [old, older] = [await argon2.hash('a', { type: argon2.argon2i }), bcrypt.hashSync('a', 4)];
      process.exitCode = (await argon2.verify(old, 'a')) && bcrypt.compareSync('a', older) ? 0 : 1;`;
    const verified = run({}, '--input-type=module', '--eval', script);
    assert.deepEqual(await once(verified, 'exit'), [0, null]);
  });

  /** Outside of the suite's own directory, which is closed to other users. */
  function temporary(name: string): string {
    const directory = mkdtempSync(join(tmpdir(), `countersign-image-${name}-`));
    atFileEnd(() => {
      spawnSync('chmod', ['-R', 'u+w', directory]);
      rmSync(directory, { recursive: true, force: true });
    });
    chmodSync(directory, 0o755);
    return directory;
  }

  function run(env: Record<string, string>, ...args: string[]) {
    const user = isRoot ? { uid: USER, gid: USER } : {};
    return spawn(process.execPath, args, { cwd: folder, env, ...user, stdio: 'ignore' });
  }
});

async function signUp(http: string, password: string): Promise<number> {
  const answer = await fetch(
    `http://127.0.0.1:${http.split(':')[1]}/countersign.v1.AuthService/SignUp`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'ann@example.com', password }),
    },
  );
  return answer.status;
}

/** Whether another user can reach a directory: each above it must let them pass. */
function readableByOthers(path: string): boolean {
  let at = `${process.cwd()}/${path}`;
  accessSync(at, constants.R_OK);
  for (; at !== '/'; at = at.slice(0, at.lastIndexOf('/')) || '/') {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}
