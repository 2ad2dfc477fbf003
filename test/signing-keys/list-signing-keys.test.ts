import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { decodeProtectedHeader } from 'jose';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { publishedKeys } from '../forge.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { operator } from './operator.ts';

const MINUTE = 60_000;

let service: Service;

before(async () => {
  service = await startService();
});

const kidOf = (token: string) => decodeProtectedHeader(token).kid;

describe('ListSigningKeys', () => {
  it('S12 shows the key that signs and the one that comes next, with their times', async () => {
    const admin = await operator(service);
    for (const protocol of PROTOCOLS) {
      const client = service.client(AdminService, protocol, admin.tokens.accessToken);
      const { signingKeys } = await client.listSigningKeys({});
      const [next, active] = signingKeys;
      assert.equal(signingKeys.length, 2);
      assert.equal(active?.keyId, kidOf(admin.tokens.accessToken));
      assert.ok(active?.activatedAt && !active.retiredAt && !active.readyAt);
      assert.ok(next?.createdAt && next.readyAt && !next.activatedAt);
      assert.equal(timestampMs(next.readyAt) - timestampMs(next.createdAt), 20 * MINUTE);
      const published = await publishedKeys(service);
      assert.deepEqual(
        signingKeys.map(({ publicJwkJson }) => JSON.parse(publicJwkJson)).reverse(),
        published,
      );
    }
  });

  it('requires the permission', async () => {
    const { accessToken } = await signedIn(service);
    const client = service.client(AdminService, 'grpc', accessToken);
    const refused = await refusal(client.listSigningKeys({}));
    assert.deepEqual(
      [refused.code, refused.metadata],
      [Code.PermissionDenied, { permission: 'signing_keys.read' }],
    );
    const nobody = await refusal(service.client(AdminService).listSigningKeys({}));
    assert.equal(nobody.reason, 'CREDENTIALS_MISSING');
  });
});
