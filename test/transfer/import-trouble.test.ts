import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { ImportOutcome } from '../../gen/countersign/v1/user_transfer_pb.ts';
import { withRoles } from '../administrators.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import { startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';

const ROWS = 3000;

describe('ImportUsers, if the database goes away midway', () => {
  it('E01 ends as unavailable, keeps what it has answered, and does the rest once when sent again', async () => {
    const direct = await createDatabase();
    const proxy = new TcpProxy(direct);
    atEnd(() => proxy.close());
    const service = await startService({ databaseUrl: await proxy.listen(direct) });
    const { admin } = await withRoles(service, 'user', 'admin');
    async function* rows() {
      for (let i = 0; i < ROWS; i += 1) {
        const value = { externalId: `${i}`, email: `${i}@trouble.example` };
        yield { message: { case: 'user' as const, value } };
      }
    }
    const answered: string[] = [];
    const { code, reason } = await refusal(
      (async () => {
        for await (const { outcome, userId } of admin.importUsers(rows())) {
          assert.equal(outcome, ImportOutcome.CREATED);
          if (answered.push(userId) === 600) proxy.down();
        }
      })(),
    );
    assert.deepEqual([code, reason], [Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
    proxy.open();
    const again = await Array.fromAsync(admin.importUsers(rows()));
    assert.deepEqual(
      again.slice(0, answered.length).map(({ outcome, userId }) => [outcome, userId]),
      answered.map((userId) => [ImportOutcome.UNCHANGED, userId]),
    );
    const [found] = await sql(
      direct,
      `select count(*)::int as events, count(distinct subject)::int as subjects,
         (select count(*)::int from accounts where external_id is not null) as accounts
       from audit_events where type = 'account.created' and details ? 'import_id'`,
    );
    assert.deepEqual(found, { events: ROWS, subjects: ROWS, accounts: ROWS });
  });
});
