import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lockDirectory } from '../../src/platform/directory-lock.ts';
import { type Child, spawnService } from '../child.ts';
import { clients } from '../harness/clients.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { PASSWORD } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { STARTS } from '../harness/scale.ts';

const QUICK = {
  COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
  COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
  COUNTERSIGN_RATE_LIMITS: 'off',
};

/** Two starters at once: the one that gets the directory, after the other has given up. */
async function oneOfTwo(environments: Record<string, string>[]): Promise<Child> {
  const starts = await Promise.allSettled(environments.map(spawnService));
  const [child, ...others] = starts.flatMap((start) =>
    start.status === 'fulfilled' ? [start.value] : [],
  );
  assert.ok(child, 'neither has it');
  assert.equal(others.length, 0, 'both have it');
  const refused = starts.find((start) => start.status === 'rejected');
  assert.match(String(refused?.reason), /in use by another Countersign process/);
  return child;
}

describe('a data directory', () => {
  it('W14 is held by one process, wherever its temporary files are, also after a kill -9', async () => {
    const COUNTERSIGN_DATA_DIR = await embeddedDirectory();
    const shared = { ...QUICK, COUNTERSIGN_DATA_DIR };
    const apart = () => ({ ...shared, TMPDIR: temporaryDirectory() });
    let holder = await spawnService(apart());
    await assert.rejects(spawnService(apart()), /in use by another Countersign process/);
    for (let round = 0; round < STARTS; round += 1) {
      const email = `round-${round}@example.com`;
      await clients(holder).auth.signUp({ email, password: PASSWORD });
      assert.equal(await holder.end('SIGKILL'), 'SIGKILL');
      holder = await oneOfTwo(round % 2 === 0 ? [apart(), apart()] : [shared, shared]);
      const { outcome } = await clients(holder).auth.login({ email, password: PASSWORD });
      assert.equal(outcome.case, 'tokens');
    }
    assert.equal(await holder.end(), 0);
  });

  it('can be held again as soon as it has been released, through a file that only this user can read', async () => {
    const directory = temporaryDirectory();
    for (let times = 0; times < 2; times += 1) {
      const unlock = await lockDirectory(directory);
      await assert.rejects(lockDirectory(directory), /in use by another Countersign process/);
      unlock();
    }
    assert.equal(statSync(join(directory, 'lock')).mode & 0o777, 0o600);
  });

  it('that does not exist cannot be held', async () => {
    const gone = join(temporaryDirectory(), 'gone');
    await assert.rejects(lockDirectory(gone), /can't be locked/);
  });
});
