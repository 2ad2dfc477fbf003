import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { create, type DescMethod } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import {
  AccountService,
  UpdateMeRequestSchema,
} from '../../gen/countersign/v1/account_service_pb.ts';
import {
  ApiKeyService,
  VerifyApiKeyRequestSchema,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { observe, type Row } from './call-table.ts';
import { describeBothPaths } from './unary-paths.ts';
import { pathOf } from './wire.ts';

/** What the least generous gRPC clients accept, and what each field counts in addition to its text. */
const CLIENT_BYTES = 8 * 1024;
const FIELD_BYTES = 32;

const PATH = pathOf(AccountService.method.updateMe);

const MASKS: Record<string, string[]> = {
  'a long name': ['x'.repeat(40_000)],
  'a long name in four bytes each': ['x\u{1f600}'.repeat(8000)],
  'a long name in two bytes each': ['\u00e9'.repeat(20_000)],
  'many names': Array.from({ length: 4000 }, (_, n) => `name_${n}`),
};

describeBothPaths('an error about much of a request', ({ env, fastPath, dialects }) => {
  let service: Service;
  let authorization: string;
  const binary = dialects.filter((dialect) => dialect !== 'connect json');

  before(async () => {
    service = await startService({ env });
    authorization = `Bearer ${(await signedIn(service)).accessToken}`;
  });

  async function refusedEverywhere(row: Row, fields: (fields: string[]) => boolean): Promise<void> {
    for (const dialect of binary) {
      const { got, refused } = await observe(service, dialect, row);
      assert.equal(refused?.code, Code.InvalidArgument, dialect);
      assert.equal(refused.reason, 'INVALID_REQUEST', dialect);
      assert.ok(fields(refused.fields), `${dialect}: ${refused.fields}`);
      assert.ok(refused.message.isWellFormed() && !refused.message.includes('\ufffd'), dialect);
      assert.ok(headerBytes(got.header) < CLIENT_BYTES, `${dialect}: ${headerBytes(got.header)}`);
    }
  }

  for (const [name, paths] of Object.entries(MASKS)) {
    it(`W02 fits into the headers that clients accept: a field mask of ${name}`, async () => {
      const body = create(UpdateMeRequestSchema, { user: {}, updateMask: { paths } });
      const row = { method: AccountService.method.updateMe, body, headers: { authorization } };
      await refusedEverywhere(row, (fields) => fields.join() === 'update_mask');
    });
  }

  it('W02 fits into them with only the first of very many fields', async () => {
    const requiredScopes = Array.from({ length: 100 }, () => '');
    const body = create(VerifyApiKeyRequestSchema, { secret: 'x', requiredScopes });
    const row = { method: ApiKeyService.method.verifyApiKey, body };
    await refusedEverywhere(row, ([first, ...more]) => {
      return first === 'required_scopes[0]' && more.length > 3 && more.length < 99;
    });
  });

  it('W02 leaves a short line in the log, however long the name of an unknown method', async () => {
    const method: DescMethod = { ...AccountService.method.updateMe, name: 'x'.repeat(10_000) };
    for (const dialect of dialects) {
      const { line, refused } = await observe(service, dialect, { method });
      assert.equal(refused?.code, Code.Unimplemented, dialect);
      assert.ok(String(line['method']).length < 1000, dialect);
    }
  });

  if (fastPath === 'off') return;

  it('W01 is sent even if it repeats half a character, which only JSON can carry', async () => {
    const message = Buffer.from('{"user":{},"updateMask":"\\ud800"}');
    const answer = await fetch(`http://${service.app.httpAddress}${PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc-web+json', authorization },
      body: encodeEnvelope(0, message),
    });
    assert.match(await answer.text(), /grpc-status: 3\r\n/);
  });
});

/** The size of headers as RFC 9113 counts it, section 6.5.2. */
function headerBytes(headers: Headers): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + value.length + FIELD_BYTES;
  return bytes;
}
