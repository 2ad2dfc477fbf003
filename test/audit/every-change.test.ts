import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescMethod } from '@bufbuild/protobuf';
import { ConnectError } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuditService } from '../../gen/countersign/v1/audit_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { Authorization } from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { everyMethod } from '../every-service.ts';
import { sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { eventually } from '../harness/eventually.ts';
import { PASSWORD } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';
import { startPasskeyService } from '../passkeys/people.ts';
import { LOOPBACK } from '../webhooks/webhooks.ts';
import { type Call, type Changes, named, person, type Row } from './changes.ts';
import { changesOfAccountService } from './changes-of-account-service.ts';
import { changesOfAdminService } from './changes-of-admin-service.ts';
import { changesOfApiKeyService } from './changes-of-api-key-service.ts';
import { changesOfAuthService } from './changes-of-auth-service.ts';
import { changesOfSessionService } from './changes-of-session-service.ts';
import { changesOfWebhookService } from './changes-of-webhook-service.ts';

/** Longer than refusals wait until they are written. */
const WRITTEN_MS = 1000;
/** Enough on a busy machine. */
const PATIENCE_MS = 15_000;

let service: Service;

const changesOfAuditService: Changes<typeof AuditService> = {
  listAuditEvents: 'reads',
  watchAuditEvents: 'reads',
  verifyAuditChain: 'reads',
};

const changesOfAuthorization: Changes<typeof Authorization> = { check: 'reads' };

const TABLE = [
  [AccountService, changesOfAccountService],
  [AdminService, changesOfAdminService],
  [ApiKeyService, changesOfApiKeyService],
  [AuditService, changesOfAuditService],
  [AuthService, changesOfAuthService],
  [Authorization, changesOfAuthorization],
  [SessionService, changesOfSessionService],
  [WebhookService, changesOfWebhookService],
] as const;

const METHODS = TABLE.flatMap(([{ methods }, rows]) =>
  methods.map((method: DescMethod) => {
    return [method, (rows as Record<string, Row | 'reads'>)[method.localName]] as const;
  }),
);

/** The events that a call has to leave, and a way to look up those that it left. */
type Left = [expected: string[], events: () => Promise<string[]>];

const all: Left[] = [];
let calls = 0;

/** Makes a call, and returns the events that it left. */
async function leaves(call: Call, isRefused: boolean): Promise<() => Promise<string[]>> {
  calls += 1;
  const requestId = `every-change-${calls}`;
  const error = await call({ headers: { 'x-request-id': requestId } }).then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.equal(error !== undefined, isRefused, error?.message ?? 'it was not refused');
  return async () => {
    const rows = await sql<{ type: string }>(
      service.databaseUrl,
      'select type from audit_events where request_id = $1 order by type',
      [requestId],
    );
    return rows.map(({ type }) => type);
  };
}

describe('Every method', () => {
  before(async () => {
    service = await startPasskeyService({ env: LOOPBACK });
  });

  it('E01 has its row in the table of this test', async () => {
    const known = new Set(METHODS.map(([method]) => method));
    const unknown = everyMethod().filter((method) => !known.has(method));
    assert.deepEqual(unknown.map(String), []);
  });

  for (const [method, row] of METHODS) {
    if (row === 'reads') continue;
    it(`E01 leaves exactly the events of its change, and none of one that was not made: ${method}`, async () => {
      assert.ok(row, `${method} has no row in the table of this test`);
      const made = await row(service);
      const { done, refused = [] } = made;
      // In the order of the row.
      const rows = Object.keys(made)[0] === 'refused' ? [refused, done] : [done, refused];
      const left: Left[] = [];
      for (const calls of rows) {
        for (const [call, ...expected] of calls) {
          left.push([expected, await leaves(call, calls === refused)]);
        }
      }
      for (const [expected, events] of left) {
        await eventually(async () => (await events()).length >= expected.length, PATIENCE_MS);
        assert.deepEqual(await events(), expected);
      }
      all.push(...left);
    });
  }

  it('E01 leaves no further event afterwards', async () => {
    assert.ok(all.length > METHODS.length);
    await errandsRun(service);
    await sleep(WRITTEN_MS);
    for (const [expected, events] of all) assert.deepEqual(await events(), expected);
  });

  it('E01 C13 leaves no name, address or free text of a person in a part that is not erased', async () => {
    const kept = await sql<{ kept: string }>(
      service.databaseUrl,
      `select concat_ws(' ', type, reason, details) as kept from audit_events`,
    );
    assert.ok(kept.length > 100);
    const personal = /@|"(Ada|Grace|Key|Laptop|Other|Pat|Robot|test|spam|x)"|127\.0\.0\.1/;
    assert.deepEqual(
      kept.filter((event) => personal.test(event.kept)),
      [],
    );
  });
});

describe('A change that cannot be made completely', () => {
  before(async () => {
    service = await startPasskeyService();
  });

  /** Makes the database refuse inserts and updates of a table while `work` runs. */
  async function refusing(table: string, work: () => Promise<void>): Promise<void> {
    const { databaseUrl } = service;
    await sql(
      databaseUrl,
      `create or replace function refuse() returns trigger language plpgsql as
       $$ begin raise exception 'refused by a test'; end $$`,
    );
    await sql(
      databaseUrl,
      `create constraint trigger refuse after insert or update on ${table}
       deferrable initially deferred for each row execute function refuse()`,
    );
    await work().finally(() => sql(databaseUrl, `drop trigger refuse on ${table}`));
  }

  it('E01 leaves no event if the change is rolled back', async () => {
    const { account } = await person(service);
    await refusing('accounts', async () => {
      const events = await leaves(named(account, 'Ada'), true);
      await sleep(WRITTEN_MS);
      assert.deepEqual(await events(), []);
    });
  });

  it('E01 is not made if its event cannot be written', async () => {
    const { email, account, sessions } = await person(service);
    await refusing('audit_events', async () => {
      await leaves(named(account, 'Ada'), true);
      await leaves((options) => service.auth.login({ email, password: PASSWORD }, options), true);
    });
    assert.equal((await account.getMe({})).user?.displayName, 'Pat');
    assert.equal((await sessions.listSessions({})).sessions.length, 1);
  });
});
