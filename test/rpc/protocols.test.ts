import assert from 'node:assert/strict';
import { before, it, mock } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { generateKeyPair, SignJWT } from 'jose';
import {
  BatchIntrospectTokensRequestSchema,
  SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { UnaryRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { sql } from '../harness/database.ts';
import { signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { holds, observe, type Row } from './call-table.ts';
import { Echo, EchoService } from './echo.ts';
import { describeBothPaths } from './unary-paths.ts';

const { unary, recent, permitted, closed } = EchoService.method;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** One table of calls; each row holds over every protocol, or the protocols differ. */
describeBothPaths('a call by gRPC, Connect and gRPC-Web', ({ env, protocols, dialects }) => {
  let service: Service;
  let fresh: string;
  let subject: string;
  let expired: string;
  let old: string;
  let admin: string;

  const holdsFor = (row: Partial<Row>) => holds(service, { method: unary, dialects, ...row });

  before(async () => {
    service = await startService({ services: [new Echo().service], env });
    const person = await signedIn(service);
    expired = person.accessToken;
    service.clock.advance(11 * 60_000);
    const { tokens } = await service.auth.refreshToken({ refreshToken: person.refreshToken });
    old = tokens?.accessToken ?? '';
    fresh = (await signIn(service, person.email)).accessToken;
    subject = JSON.parse(atob(fresh.split('.')[1] ?? '')).sub;
    const boss = await signedIn(service);
    await sql(service.databaseUrl, `update accounts set roles = '{admin}' where email = $1`, [
      boss.email,
    ]);
    admin = (await signIn(service, boss.email)).accessToken;
  });

  it('succeeds, and is logged with who called', async () => {
    await holdsFor({});
    await holdsFor({ headers: bearer(fresh), logged: { principal: subject } });
  });

  it('gives generated clients the same answer and the same error', async () => {
    for (const protocol of protocols) {
      const client = service.client(EchoService, protocol, fresh);
      assert.deepEqual((await client.unary({ text: 'hello' })).subject, subject, protocol);
      const refused = await refusal(client.unary({ text: 'x'.repeat(1001) }));
      assert.equal(refused.code, Code.InvalidArgument, protocol);
      assert.deepEqual(refused.fields, ['text'], protocol);
    }
  });

  it('names the field that breaks its rule by its path in the request', async () => {
    await holdsFor({
      method: SessionService.method.batchIntrospectTokens,
      body: create(BatchIntrospectTokensRequestSchema, {
        requests: [{ token: 'a' }, { audience: 'x'.repeat(2001), requiredScopes: ['a', ''] }],
      }),
      refused: {
        code: Code.InvalidArgument,
        reason: 'INVALID_REQUEST',
        fields: ['requests[1].required_scopes[1]', 'requests[1].audience'],
      },
    });
    await holdsFor({
      method: SessionService.method.batchIntrospectTokens,
      body: create(BatchIntrospectTokensRequestSchema),
      refused: { code: Code.InvalidArgument, reason: 'INVALID_REQUEST', fields: ['requests'] },
    });
  });

  it('is refused without a credential if one is needed', async () => {
    const refused = { code: Code.Unauthenticated, reason: 'CREDENTIALS_MISSING' };
    await holdsFor({ method: recent, refused });
    await holdsFor({ method: permitted, refused });
  });

  it('is refused with a credential that is malformed, altered, foreign or expired', async () => {
    const signed = fresh.split('.').slice(0, 2).join('.');
    const credentials = {
      malformed: 'Bearer not-a-token',
      'of another scheme': 'Basic dXNlcjpwYXNz',
      empty: 'Bearer',
      unsigned: `Bearer ${signed}.`,
      altered: `Bearer ${signed}.${'A'.repeat(86)}`,
      foreign: `Bearer ${await foreignToken()}`,
    };
    for (const authorization of Object.values(credentials)) {
      await holdsFor({
        method: recent,

        headers: { authorization },
        refused: { code: Code.Unauthenticated, reason: 'TOKEN_INVALID' },
        logged: { principal: undefined },
      });
    }
    await holdsFor({
      method: recent,

      headers: bearer(expired),
      refused: { code: Code.Unauthenticated, reason: 'TOKEN_EXPIRED' },
    });
  });

  it('is refused to a caller without the permission, and served to one who has it', async () => {
    await holdsFor({
      method: permitted,

      headers: bearer(fresh),
      refused: { code: Code.PermissionDenied, reason: 'PERMISSION_DENIED' },
      logged: { principal: subject },
    });
    await holdsFor({ method: permitted, headers: bearer(admin) });
  });

  it('A04 is refused to everyone if the method has no access rule', async () => {
    for (const headers of [{}, bearer(fresh), bearer(admin)]) {
      await holdsFor({
        method: closed,

        headers,
        refused: { code: Code.PermissionDenied, reason: 'PERMISSION_DENIED' },
      });
    }
  });

  it('asks for a new sign-in if the last one is too old', async () => {
    await holdsFor({
      method: recent,

      headers: bearer(old),
      refused: { code: Code.Unauthenticated, reason: 'REAUTHENTICATION_REQUIRED' },
    });
    await holdsFor({ method: recent, headers: bearer(fresh) });
  });

  it('shows a bug as an internal error, and logs its cause under the request id', async () => {
    const body = create(UnaryRequestSchema, { failure: 'bug' });
    await holdsFor({ body, refused: { code: Code.Internal, reason: 'INTERNAL' } });
    for (const dialect of dialects) {
      const { line, refused } = await observe(service, dialect, { method: unary, body });
      assert.equal(refused?.message, 'internal error');
      assert.equal(line['level'], 'error');
      assert.deepEqual(line['causes'], ['Error']);
      assert.match(String(line['stack']), /echo\.ts/);
    }
  });

  it('has the request id that it names, or a new one if that is odd', async () => {
    const odd = ['a b', 'ä', '<script>', 'x'.repeat(129), '', 'a,b', 'a\tb'];
    for (const dialect of dialects) {
      for (const id of odd) {
        const { got, line } = await observe(service, dialect, {
          method: unary,

          headers: { 'x-request-id': id },
        });
        const made = got.header.get('x-request-id') ?? '';
        assert.match(made, /^[0-9a-f-]{36}$/, `${dialect} ${id}`);
        assert.equal(line['request_id'], made);
      }
    }
  });

  it('W09 leaves no trace of a credential that cannot be read, not even on standard error', async () => {
    const written = mock.method(process.stderr, 'write', () => true);
    await holdsFor({
      method: recent,
      headers: { authorization: 'Bearer secret-\u00e4-secret' },
      dialects: ['grpc'],
      refused: { code: Code.Unauthenticated, reason: 'TOKEN_INVALID' },
    });
    written.mock.restore();
    const text = written.mock.calls.map((call) => String(call.arguments[0])).join('');
    assert.equal(text.includes('secret'), false);
  });

  it('is logged under its trace', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { traceparent: `00-${trace}-00f067aa0ba902b7-01` };
    await holdsFor({ headers, logged: { trace_id: trace } });
    await holdsFor({ headers: { traceparent: 'junk' }, logged: { trace_id: undefined } });
  });

  async function foreignToken(): Promise<string> {
    const { privateKey } = await generateKeyPair('ES256');
    const [header = '', payload = ''] = fresh.split('.');
    return new SignJWT(JSON.parse(Buffer.from(payload, 'base64url').toString()))
      .setProtectedHeader(JSON.parse(Buffer.from(header, 'base64url').toString()))
      .sign(privateKey);
  }
});
