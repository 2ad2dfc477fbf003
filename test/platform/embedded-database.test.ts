import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { runProcess, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { PASSWORD } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';

const QUICK = {
  COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
  COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
};

describe('the embedded default', () => {
  it('keeps accounts, keys and the mailbox over a restart, in files that only this user can read', async () => {
    const dataDir = await embeddedDirectory();
    const env = { ...QUICK, COUNTERSIGN_DATA_DIR: dataDir };
    const first = await spawnService(env);
    const jwks = await fetchJson(`http://${first.httpAddress}/.well-known/jwks.json`);
    const { auth } = clients(first);
    await auth.signUp({ email: 'a@example.com', password: PASSWORD });
    const mailbox = (address: string) => fetchJson(`http://${address}/dev/mailbox.json`);
    await eventually(async () => ((await mailbox(first.httpAddress)) as unknown[]).length === 1);
    assert.equal(await first.end(), 0);

    const second = await spawnService(env);
    atEnd(() => second.end());
    assert.deepEqual(await fetchJson(`http://${second.httpAddress}/.well-known/jwks.json`), jwks);
    assert.equal(((await mailbox(second.httpAddress)) as unknown[]).length, 1);
    await clients(second).auth.login({ email: 'a@example.com', password: PASSWORD });
    for (const file of ['master.key', 'mailbox.ndjson']) {
      assert.equal(statSync(join(dataDir, file)).mode & 0o777, 0o600, file);
    }
  });

  it('W05 starts again after a first start that ended before the database was complete', async () => {
    const dataDir = temporaryDirectory();
    const env = { ...QUICK, COUNTERSIGN_DATA_DIR: dataDir };
    // Ends the first start at this file, as a crash would.
    const obstacle = join(dataDir, 'postgres', 'postgresql.conf');
    mkdirSync(obstacle, { recursive: true, mode: 0o700 });
    const { code, text } = await runProcess(['migrate'], env);
    assert.equal(code, 1, text);
    rmSync(obstacle, { recursive: true });
    const retried = await runProcess(['migrate'], env);
    assert.equal(retried.code, 0, retried.text);
  });

  it('W14 refuses writes while the disk is nearly full, keeps reading, and recovers', async (t) => {
    const disk = await smallDisk();
    if (!disk) return t.skip('needs root on Linux, to mount a small disk');
    const child = await spawnService({ ...QUICK, COUNTERSIGN_DATA_DIR: disk });
    atEnd(() => child.end());
    const { auth } = clients(child);
    await auth.signUp({ email: 'before@example.com', password: PASSWORD });
    const filler = fill(disk, 32);
    await eventually(async () => {
      const attempt = auth.signUp({ email: 'during@example.com', password: PASSWORD });
      const reason = await refusal(attempt).then(
        (refused) => refused.reason,
        () => 'none',
      );
      return reason === 'STORAGE_FULL';
    });
    const readOnly = await refusal(auth.login({ email: 'x@example.com', password: PASSWORD }));
    assert.equal(readOnly.reason, 'INVALID_CREDENTIALS');
    const write = await refusal(auth.login({ email: 'before@example.com', password: PASSWORD }));
    assert.equal(write.reason, 'STORAGE_FULL');
    assert.equal(write.code, Code.ResourceExhausted);
    rmSync(filler);
    await eventually(() =>
      auth.login({ email: 'before@example.com', password: PASSWORD }).then(
        () => true,
        () => false,
      ),
    );
  });

  it('W14 is not damaged by a disk that is full to the last byte', async (t) => {
    const disk = await smallDisk();
    if (!disk) return t.skip('needs root on Linux, to mount a small disk');
    const env = { ...QUICK, COUNTERSIGN_DATA_DIR: disk, COUNTERSIGN_EMBEDDED_MIN_FREE: '0' };
    const first = await spawnService(env);
    const { auth } = clients(first);
    await auth.signUp({ email: 'before@example.com', password: PASSWORD });
    const filler = fill(disk, 0);
    const acknowledged: string[] = [];
    for (let n = 0; n < 60; n += 1) {
      const email = `full-${n}@example.com`;
      const attempt = auth.signUp({ email, password: PASSWORD, displayName: 'x'.repeat(200) });
      await attempt.then(
        () => acknowledged.push(email),
        () => {},
      );
    }
    await first.end('SIGKILL');
    rmSync(filler);
    const second = await spawnService(env);
    atEnd(() => second.end());
    for (const email of ['before@example.com', ...acknowledged]) {
      await clients(second).auth.login({ email, password: PASSWORD });
    }
  });
});

/** A small disk with an embedded database on it, if the system lets us have one. */
async function smallDisk(): Promise<string | undefined> {
  const directory = temporaryDirectory();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', directory]);
  if (mounted.status !== 0) return undefined;
  atEnd(() => spawnSync('umount', ['-l', directory]));
  return embeddedDirectory(directory);
}

/** Fills a disk except for `leaveMib`. Returns the file that takes the space. */
function fill(directory: string, leaveMib: number): string {
  const path = join(directory, 'filler');
  const { bavail, bsize } = statfsSync(directory);
  const bytes = bavail * bsize - leaveMib * 1024 * 1024;
  spawnSync('dd', [
    'if=/dev/zero',
    `of=${path}`,
    'bs=1M',
    `count=${Math.ceil(bytes / 1024 / 1024)}`,
  ]);
  return path;
}

async function fetchJson(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}
