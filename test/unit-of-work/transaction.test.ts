import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { Outbox } from '../../src/mail/outbox.ts';
import { operator } from '../../src/platform/caller.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { Failure } from '../../src/platform/failure.ts';
import { Jobs } from '../../src/platform/jobs.ts';
import { createLog } from '../../src/platform/log.ts';
import { noHints } from '../../src/platform/redis-hints.ts';
import { RevocationFeed } from '../../src/revocations/revocation-feed.ts';
import { openDatabase } from '../../src/schema.ts';
import { KeySet } from '../../src/signing-keys/key-set.ts';
import { Database } from '../../src/unit-of-work/database.ts';
import { testKeyring } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { MASTER_KEY } from '../harness/prepared.ts';

const SUBJECT = '019b0000-0000-7000-8000-000000000001';
const SESSION = { kind: 'session' as const, id: '019b0000-0000-7000-8000-000000000002' };
const failure = new Failure('denied', 'PERMISSION_DENIED', 'refused for the test');

describe('A transaction', () => {
  let url: string;
  let database: Database;
  let feed: RevocationFeed;

  before(async () => {
    url = await createDatabase();
    const env = { DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    const config = readConfig(env, () => '');
    const log = createLog('silent');
    const connection = await openDatabase(config, log);
    atEnd(() => connection.close());
    const keyring = testKeyring();
    const keys = new KeySet(connection, keyring);
    const common = { database: connection, clock: systemClock, log, hints: noHints };
    feed = new RevocationFeed({ ...config, ...common, keys });
    const outbox = new Outbox(new Jobs(connection, log), keyring);
    database = new Database(connection, systemClock, { outbox, revocations: feed });
  });

  const rowsOf = async (requestId: string) =>
    sql<{ type: string; actor: string | null }>(
      url,
      'select type, actor from audit_events where request_id = $1',
      [requestId],
    );
  const isRevoked = (sessionId: string) =>
    feed.covers({
      sessionId,
      tokenId: '',
      apiKeyId: '',
      actors: [],
      subject: '',
      issuedAt: 0,
      keyId: '',
      tokenVersion: 0,
    });

  it('commits its events together, and then runs what follows, each action once', async () => {
    const caller = operator();
    const done: string[] = [];
    const action = () => done.push('action');
    const result = await database.transaction(caller, async (tx) => {
      tx.audit({ type: 'account.updated', subject: SUBJECT });
      tx.afterCommit(action);
      tx.afterCommit(action);
      assert.deepEqual(done, []);
      return 'result';
    });
    assert.equal(result, 'result');
    assert.deepEqual(done, ['action']);
    assert.equal((await rowsOf(caller.requestId)).length, 1);
  });

  it('keeps nothing and runs nothing if its work throws', async () => {
    const caller = operator();
    const done: string[] = [];
    const work = database.transaction(caller, async (tx) => {
      tx.audit({ type: 'account.updated', subject: SUBJECT });
      await tx.revoke([SESSION], 'session_revoked');
      tx.afterCommit(() => done.push('action'));
      await tx.em.flush();
      throw failure;
    });
    await assert.rejects(work, failure);
    assert.deepEqual(done, []);
    assert.deepEqual(await rowsOf(caller.requestId), []);
    assert.equal(isRevoked(SESSION.id), false);
  });

  it('commits what a refusal leaves, runs what follows, and throws the failure itself', async () => {
    const caller = operator();
    const id = '019b0000-0000-7000-8000-000000000003';
    const work = database.transaction(caller, async (tx) => {
      tx.audit({ type: 'account.locked', subject: SUBJECT });
      await tx.revoke([{ kind: 'session', id }], 'session_revoked');
      throw tx.refusal(failure);
    });
    await assert.rejects(work, failure);
    assert.equal((await rowsOf(caller.requestId)).length, 1);
    assert.equal(isRevoked(id), true);
  });

  it('records the caller as the actor, unless the event names one or none', async () => {
    const caller = { ...operator(), kind: 'user' as const, subject: SUBJECT };
    await database.transaction(caller, async (tx) => {
      tx.audit({ type: 'account.updated', subject: SUBJECT });
      tx.audit({ type: 'account.secured', actor: null, subject: SUBJECT });
    });
    const actors = new Map((await rowsOf(caller.requestId)).map((row) => [row.type, row.actor]));
    assert.equal(actors.get('account.updated'), SUBJECT);
    assert.equal(actors.get('account.secured'), null);
  });

  it('keeps the order of its events while other transactions record theirs', async () => {
    const caller = operator();
    const recorded = ['account.suspended', 'sessions.ended', 'account.reinstated'] as const;
    for (let round = 0; round < 10; round += 1) {
      await database.transaction(caller, async (tx) => {
        for (const type of recorded) {
          tx.audit({ type, subject: SUBJECT });
          await setTimeout(1);
          await database.transaction(operator(), async (other) => {
            other.audit({ type: 'account.updated', subject: SUBJECT });
          });
        }
      });
    }
    const rows = await sql<{ type: string }>(
      url,
      'select type from audit_events where request_id = $1 order by id',
      [caller.requestId],
    );
    const types = rows.map(({ type }) => type);
    assert.deepEqual(types, Array.from({ length: 10 }, () => recorded).flat());
  });

  it('runs what follows its commit even if the caller has gone meanwhile', async () => {
    const gone = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    const work = database.transaction({ ...operator(), signal: gone.signal }, async (tx) => {
      tx.afterCommit(resolve);
      // Fires after the last look at the signal, while the commit is on its way.
      setImmediate(() => gone.abort(failure));
    });
    await Promise.allSettled([work]);
    await promise;
  });
});
