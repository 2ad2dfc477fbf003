import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import type { Row } from '../audit/changes.ts';
import { changesOfAccountService } from '../audit/changes-of-account-service.ts';
import { changesOfAdminService } from '../audit/changes-of-admin-service.ts';
import { changesOfApiKeyService } from '../audit/changes-of-api-key-service.ts';
import { changesOfAuthService } from '../audit/changes-of-auth-service.ts';
import { changesOfSessionService } from '../audit/changes-of-session-service.ts';
import { changesOfWebhookService } from '../audit/changes-of-webhook-service.ts';
import { everyMethod } from '../every-service.ts';
import { userIdOf } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';
import { startPasskeyService } from '../passkeys/people.ts';
import { LOOPBACK } from '../webhooks/webhooks.ts';
import { type Exchange, recorded } from './recorder.ts';
import { readDocument, SchemaJudge } from './schemas.ts';

/** Of these, AdminService changes what the others need. */
const TABLES = [
  changesOfAccountService,
  changesOfApiKeyService,
  changesOfAuthService,
  changesOfSessionService,
  changesOfWebhookService,
];
const BY_STREAM = new Set(['importUsers', 'exportUsers']);

/** Reasons that any call may be refused with, which the document says of all of them together. */
const OF_ANY = /^(?:INTERNAL|DEPENDENCY_UNAVAILABLE|SHUTTING_DOWN|DEADLINE_EXCEEDED|CANCELLED)$/;

describe('The document of the contract', () => {
  const document = readDocument();
  const judge = new SchemaJudge(document);
  let made: Exchange[];

  before(async () => {
    const service = await startPasskeyService({ env: LOOPBACK });
    const watched = await recorded(service);
    made = watched.made;
    await Promise.all(TABLES.map((table) => makeAll(watched.service, table)));
    await makeAll(watched.service, changesOfAdminService);
    await readAll(watched.service);
  });

  /** Makes the calls of a table's rows, of which it does not matter here what they leave. */
  async function makeAll(service: Service, rows: Record<string, Row | 'reads'>) {
    for (const [name, row] of Object.entries(rows)) {
      if (row === 'reads' || BY_STREAM.has(name)) continue;
      const { done, refused = [] } = await row(service);
      for (const [call] of [...done, ...refused]) await call({}).catch(() => {});
    }
  }

  /** Calls whatever only reads, with what is there to be read. */
  async function readAll(service: Service) {
    const boss = await withRoles(service, 'user', 'admin');
    const { id: apiKeyId, secret } = await newKey(service, boss);
    const token = boss.accessToken;
    const request: Record<string, object> = {
      GetUser: { userId: userIdOf(boss) },
      GetSession: { sessionId: boss.sessionId },
      GetApiKey: { apiKeyId },
      VerifyApiKey: { secret },
      BatchVerifyApiKeys: { requests: [{ secret }, { secret: 'x' }] },
      IntrospectToken: { token },
      BatchIntrospectTokens: { requests: [{ token }, { token: 'x' }] },
    };
    const reads = everyMethod().filter(
      ({ methodKind, idempotency, parent }) =>
        methodKind === 'unary' && idempotency === 1 && parent.typeName.startsWith('countersign.'),
    );
    for (const { parent, localName, name } of reads) {
      type Calls = Record<string, (request: object) => Promise<unknown>>;
      const client = service.client(parent, 'connect', token) as unknown as Calls;
      await client[localName]?.(request[name] ?? {}).catch(() => {});
    }
  }

  const operationOf = ({ path }: Exchange) => {
    const found = document.paths[path]?.post;
    assert.ok(found, `${path} is not in the document`);
    return found;
  };

  it('holds for requests that are accepted, and for their answers', () => {
    const accepted = made.filter(({ status }) => status === 200);
    for (const exchange of accepted) {
      const { requestBody, responses } = operationOf(exchange);
      const [asked, said] = [requestBody, responses['200']].map(
        (each) => each?.content?.['application/json']?.schema ?? {},
      );
      assert.equal(judge.problems(asked ?? {}, exchange.request), '', exchange.path);
      assert.equal(judge.problems(said ?? {}, exchange.answer), '', exchange.path);
    }
    const methods = new Set(accepted.map(({ path }) => path));
    const unary = Object.values(document.paths).filter(
      ({ post }) => post?.requestBody?.content['application/json'],
    );
    assert.ok(methods.size > 0.75 * unary.length, `${methods.size} of ${unary.length}`);
  });

  it('holds for errors, and names their reasons at their status', () => {
    const refused = made.filter(({ status }) => status !== 200);
    assert.ok(refused.length > 50);
    const unnamed = new Set<string>();
    for (const exchange of refused) {
      const { responses } = operationOf(exchange);
      const schema = { $ref: '#/components/schemas/Error' };
      assert.equal(judge.problems(schema, exchange.answer), '', exchange.path);
      const { details } = exchange.answer as { details: { debug: { reason?: string } }[] };
      const { reason = '' } = details[0]?.debug ?? {};
      const at = responses[String(exchange.status)]?.description ?? '';
      const isNamed = at.includes(`\`${reason}\``) || OF_ANY.test(reason);
      if (!isNamed) unnamed.add(`${exchange.path}: ${exchange.status} ${reason}`);
    }
    assert.deepEqual([...unnamed], []);
  });

  it('refuses a request that the service refuses for its form', () => {
    const invalid = made.filter(({ answer }) =>
      JSON.stringify(answer).includes('the request is not valid'),
    );
    for (const exchange of invalid) {
      const schema = operationOf(exchange).requestBody?.content['application/json']?.schema ?? {};
      assert.notEqual(judge.problems(schema, exchange.request), '', exchange.path);
    }
  });
});
