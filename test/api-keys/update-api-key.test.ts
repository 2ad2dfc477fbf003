import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { keysOf, newKey, verify } from './keys.ts';

let service: Service;
let replica: Service;
let admin: Person;
let user: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  admin = await person(service, 'user', 'admin');
  user = await person(service);
});

const seconds = (ms: number) => ({ seconds: BigInt(Math.ceil(ms / 1000)) });
const fromNow = (ms: number) => seconds(service.clock.now().getTime() + ms);

describe('UpdateApiKey', () => {
  it('S09 narrows a key on every replica', async () => {
    const { id, secret } = await newKey(service, admin, { scopes: ['users.read', 'audit.read'] });
    const from = { secret, ipAddress: '192.0.2.1' };
    for (const at of [service, replica]) assert.equal((await verify(at, from)).valid, true);
    const client = keysOf(service, admin);
    const apiKey = { apiKeyId: id, scopes: ['audit.read'], allowedCidrs: ['198.51.100.0/24'] };
    await client.updateApiKey({ apiKey });
    assert.equal((await verify(service, from)).reason, ApiKeyReason.ADDRESS_NOT_ALLOWED);
    await eventually(async () => !(await verify(replica, from)).valid);
    await client.updateApiKey({
      apiKey: { apiKeyId: id },
      updateMask: { paths: ['allowed_cidrs'] },
    });
    for (const at of [service, replica]) {
      await eventually(async () => (await verify(at, from)).valid);
      assert.deepEqual((await verify(at, from)).principal?.scopes, ['audit.read']);
    }
  });

  it('changes what the mask names, or what is not empty, and nothing else', async () => {
    const { id, apiKey } = await newKey(service, admin, {
      displayName: 'before',
      scopes: ['users.read'],
      expiresAt: fromNow(86_400_000),
      rateLimit: { requests: 5, per: { seconds: 60n } },
    });
    const client = keysOf(service, admin);
    const update = async (change: object, paths?: string[]) => {
      const updateMask = paths && { updateMask: { paths } };
      const answer = await client.updateApiKey({
        apiKey: { apiKeyId: id, ...change },
        ...updateMask,
      });
      return answer.apiKey;
    };
    const named = await update({ displayName: 'after' });
    assert.deepEqual([named?.displayName, named?.scopes], ['after', ['users.read']]);
    assert.notEqual(named?.etag, apiKey.etag);
    const endless = await update({}, ['expires_at', 'rate_limit']);
    assert.deepEqual(
      [endless?.displayName, endless?.expiresAt, endless?.rateLimit],
      ['after', undefined, undefined],
    );
    const bare = await update({}, ['*']);
    assert.deepEqual([bare?.displayName, bare?.scopes], ['', []]);
    for (const path of ['revoked_at', 'owner', 'api_key_id', 'displayName', 'constructor', '']) {
      const refused = await refusal(update({}, [path]));
      assert.deepEqual(refused.fields, ['update_mask'], path);
    }
    const scoped = await refusal(update({ scopes: ['nothing'] }));
    assert.deepEqual(scoped.fields, ['api_key.scopes[0]']);
    const stale = { apiKeyId: id, displayName: 'x', etag: apiKey.etag };
    assert.equal((await refusal(client.updateApiKey({ apiKey: stale }))).reason, 'ETAG_MISMATCH');
  });

  it('E01 records what has changed, with personal data where it can be erased', async () => {
    const { id } = await newKey(service, admin, {
      displayName: 'before',
      scopes: ['users.read'],
      rateLimit: { requests: 5, per: { seconds: 60n } },
    });
    const same = { scopes: ['users.read'], rateLimit: { requests: 5, per: { seconds: 60n } } };
    const client = keysOf(service, admin);
    const update = async (change: object) =>
      (await client.updateApiKey({ apiKey: { apiKeyId: id, ...same, ...change } })).apiKey?.etag;
    const expiresAt = fromNow(86_400_000);
    const allowedCidrs = ['192.0.2.0/24'];
    const etag = await update({ displayName: 'after', allowedCidrs, expiresAt });
    assert.equal(await update({ displayName: 'after', allowedCidrs, expiresAt }), etag);
    await update({ scopes: ['audit.read'] });
    const events = await sql(
      service.databaseUrl,
      `select details, personal::jsonb as personal from audit_events
       where type = 'api_key.updated' and details->>'api_key_id' = $1 order by id`,
      [id],
    );
    assert.deepEqual(events, [
      {
        details: {
          api_key_id: id,
          fields: ['display_name', 'allowed_cidrs', 'expires_at'],
          before: {},
          after: { expires_at: new Date(Number(expiresAt.seconds) * 1000).toISOString() },
        },
        personal: {
          before: { display_name: 'before', allowed_cidrs: [] },
          after: { display_name: 'after', allowed_cidrs: allowedCidrs },
        },
      },
      {
        details: {
          api_key_id: id,
          fields: ['scopes'],
          before: { scopes: ['users.read'] },
          after: { scopes: ['audit.read'] },
        },
        personal: null,
      },
    ]);
  });

  it('A01 widens nothing beyond what its owner holds', async () => {
    const { id } = await newKey(service, user);
    const apiKey = { apiKeyId: id, scopes: ['users.read'] };
    const refused = await refusal(keysOf(service, user).updateApiKey({ apiKey }));
    assert.equal(refused.reason, 'PERMISSION_DENIED');
    const foreign = { apiKeyId: id, displayName: 'taken' };
    const other = await refusal(keysOf(service, admin).updateApiKey({ apiKey: foreign }));
    assert.equal(other.code, Code.NotFound, 'nobody changes the keys of another user');
  });
});
