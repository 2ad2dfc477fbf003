import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { migrate, openDatabase } from '../../src/schema.ts';
import { atFileEnd } from '../harness/at-end.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { GRACE_MS, OUTAGES } from '../harness/scale.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { postgres, type Server } from '../servers.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { rotatedEarlier } from './rotated-earlier.ts';

const CLIENTS = 6;
/** One in this many answers is lost, and the client asks again. */
const LOST = 3;
const LIMITS = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '1s',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '2s',
};
const AWAY = /^(DEPENDENCY_UNAVAILABLE|OVERLOADED|DEADLINE_EXCEEDED|undefined)$/;

let server: Server;
let proxy: TcpProxy;
let replicas: Service[];

before(async () => {
  server = await postgres({ fsync: 'off' });
  atFileEnd(() => server.stop());
  const env = {
    DATABASE_URL: server.url,
    COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
  };
  const database = await openDatabase(
    readConfig(env, () => ''),
    createLog('silent'),
    { forMigration: true },
  );
  await migrate(database);
  await database.close();
  proxy = new TcpProxy(server.url);
  const databaseUrl = await proxy.listen(server.url);
  const limits = { refreshGraceMs: GRACE_MS };
  const first = await startService({ databaseUrl, env: LIMITS, limits });
  replicas = [first, await startReplica(first, { limits })];
  atFileEnd(() => proxy.close());
});

/** A client that refreshes all the time, on either replica, and asks again whenever it got no answer. */
class RefreshingClient {
  exchanges = 0;
  lost: string | undefined;
  #attempts = 0;

  async run(refreshToken: string, isOver: () => boolean): Promise<void> {
    let token = refreshToken;
    while (this.lost === undefined && !isOver()) {
      const next = await this.#ask(token);
      if (next === undefined) await sleep(30);
      else if (this.#attempts % LOST !== 0) {
        token = next;
        this.exchanges += 1;
      }
    }
  }

  async #ask(refreshToken: string): Promise<string | undefined> {
    this.#attempts += 1;
    const at = replicas[(this.#attempts >> 1) % replicas.length];
    const call = at?.auth.refreshToken({ refreshToken }, { timeoutMs: 5000 });
    try {
      return (await call)?.tokens?.refreshToken;
    } catch {
      const { reason, message } = await refusal(Promise.resolve(call));
      if (!AWAY.test(String(reason))) this.lost = `${reason}: ${message}`;
      return undefined;
    }
  }
}

/**
 * Stops the server and all its processes, or lets them continue. While stopped, it starts no new ones.
 */
function signalServer(signal: 'STOP' | 'CONT'): void {
  const pid = String(server.pid);
  if (signal === 'STOP') execFileSync('kill', ['-STOP', pid]);
  const children = execFileSync('ps', ['--ppid', pid, '-o', 'pid='], { encoding: 'utf8' });
  // One that has ended meanwhile is no loss.
  spawnSync('kill', [`-${signal}`, pid, ...children.split(/\s+/).filter(Boolean)]);
}

const TROUBLES = {
  frozen: { begin: () => signalServer('STOP'), end: () => signalServer('CONT') },
  stalled: { begin: () => proxy.freeze(), end: () => proxy.open() },
  reset: { begin: () => proxy.down(), end: () => proxy.open() },
};

describe('RefreshToken, while PostgreSQL is away for longer than a retry may take', () => {
  for (const [name, trouble] of Object.entries(TROUBLES)) {
    for (const outage of OUTAGES) {
      it(`S14 ${name} for ${outage} times the grace time: nobody loses a session`, async () => {
        const [first] = replicas as [Service];
        const people = await Promise.all(Array.from({ length: CLIENTS }, () => signedIn(first)));
        const clients = people.map(() => new RefreshingClient());
        let isOver = false;
        const work = clients.map((client, i) =>
          client.run(people[i]?.refreshToken ?? '', () => isOver),
        );
        await sleep(GRACE_MS / 4);
        trouble.begin();
        await sleep(outage * GRACE_MS).finally(trouble.end);
        const atEnd = clients.map(({ exchanges }) => exchanges);
        const goesOn = () =>
          clients.every(({ exchanges, lost }, i) => lost || exchanges > (atEnd[i] ?? 0) + 2);
        for (let i = 0; i < 200 && !goesOn(); i += 1) await sleep(50);
        isOver = true;
        await Promise.all(work);
        assert.deepEqual(
          clients.map(({ lost }) => lost),
          clients.map(() => undefined),
        );
        assert.ok(goesOn());
      });
    }
  }

  it('S07 S14 keeps the end of the grace time while the database is there', async () => {
    const [first] = replicas as [Service];
    const { refreshToken, sessionId } = await signedIn(first);
    await first.auth.refreshToken({ refreshToken });
    await rotatedEarlier({ databaseUrl: server.url }, sessionId, '1 hour');
    assert.equal(
      (await refusal(first.auth.refreshToken({ refreshToken }))).reason,
      'REFRESH_TOKEN_REUSED',
    );
  });
});
