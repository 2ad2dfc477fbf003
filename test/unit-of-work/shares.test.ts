import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { Shares } from '../../src/platform/shares.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

describe("a principal's share of the database", () => {
  let service: Service;

  before(async () => {
    const env = {
      COUNTERSIGN_DB_POOL_MAX: '4',
      COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '1500ms',
      COUNTERSIGN_DB_STATEMENT_TIMEOUT: '25s',
    };
    service = await startService({ env });
  });

  it('W06 leaves connections to others, whatever the calls of one account wait for', async () => {
    const [greedy, other] = [await person(service), await person(service)];
    const locking = new pg.Client(service.databaseUrl);
    await locking.connect();
    atEnd(() => locking.end());
    await locking.query('begin');
    await locking.query('select from accounts where id = $1 for update', [greedy.userId]);
    const change = (accessToken: string) =>
      service
        .client(AccountService, 'grpc', accessToken)
        .updateMe({ user: { displayName: 'X' }, updateMask: { paths: ['display_name'] } });
    const calls = Array.from({ length: 8 }, () => change(greedy.accessToken));
    const settled = Promise.allSettled(calls);
    await eventually(async () => {
      const waiting = await sql(
        service.databaseUrl,
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return waiting.length >= 3;
    });
    assert.equal((await change(other.accessToken)).user?.displayName, 'X');
    // Those of its calls that found no place are told so, and the others go on.
    const refused = await Promise.any(calls.map(refusal));
    assert.deepEqual([refused.code, refused.reason], [Code.ResourceExhausted, 'OVERLOADED']);
    await locking.query('rollback');
    const ended = await settled;
    assert.ok(ended.filter(({ status }) => status === 'fulfilled').length >= 3);
    assert.equal((await change(greedy.accessToken)).user?.displayName, 'X');
  });

  it('hands places on in order, passes over those that have gone, and keeps keys apart', async () => {
    const shares = new Shares(1, 60_000, 'full');
    const ran: string[] = [];
    const first = Promise.withResolvers<void>();
    const gone = new AbortController();
    const running = shares.run('a', undefined, () => first.promise);
    const late = (name: string, signal?: AbortSignal) =>
      shares.run('a', signal, async () => void ran.push(name));
    const [leaving, second, third] = [late('gone', gone.signal), late('2'), late('3')];
    gone.abort(new Error('left'));
    await assert.rejects(leaving, /left/);
    await shares.run('b', undefined, async () => void ran.push('b'));
    first.resolve();
    await Promise.all([running, second, third]);
    assert.deepEqual(ran, ['b', '2', '3']);
  });
});
