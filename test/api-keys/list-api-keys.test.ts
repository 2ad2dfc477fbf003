import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { ListApiKeysResponse } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { type Person, person, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { keysOf, newKey } from './keys.ts';

let service: Service;
let admin: Person;
let user: Person;

before(async () => {
  service = await startService();
  admin = await person(service, 'user', 'admin');
  user = await person(service);
});

describe('ListApiKeys', () => {
  it("shows people their own, and another's only with the permission", async () => {
    const someone = await person(service);
    const { id } = await newKey(service, someone);
    const listed = await refusal(keysOf(service, user).listApiKeys({ userId: someone.userId }));
    assert.equal(listed.reason, 'PERMISSION_DENIED');
    const client = keysOf(service, admin);
    for (const by of [keysOf(service, someone), client]) {
      const { apiKeys } = await by.listApiKeys({ userId: someone.userId.toUpperCase() });
      assert.deepEqual(
        apiKeys.map(({ apiKeyId }) => apiKeyId),
        [id],
      );
    }
    const both = { userId: someone.userId, serviceAccountId: UNKNOWN_ID };
    assert.deepEqual((await refusal(client.listApiKeys(both))).fields, ['service_account_id']);
  });

  it('returns pages that lead to each other, with each key once', async () => {
    const someone = await person(service);
    const client = keysOf(service, someone);
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) ids.push((await newKey(service, someone)).id);
    await client.revokeApiKey({ apiKeyId: ids[3] ?? '' });
    const all = async (request: object) => {
      const seen: string[] = [];
      let page: ListApiKeysResponse | undefined;
      do {
        const pageToken: string = page?.nextPageToken ?? '';
        page = await client.listApiKeys({ ...request, pageSize: 2, pageToken });
        seen.push(...page.apiKeys.map(({ apiKeyId }) => apiKeyId));
      } while (page.nextPageToken !== '');
      return seen;
    };
    const newest = [...ids].reverse();
    assert.deepEqual(await all({ showRevoked: true }), newest);
    assert.deepEqual(
      await all({}),
      newest.filter((id) => id !== ids[3]),
    );
    const first = await client.listApiKeys({ pageSize: 2 });
    for (const pageToken of [`${first.nextPageToken}x`, 'x', '1..']) {
      assert.deepEqual((await refusal(client.listApiKeys({ pageToken }))).fields, ['page_token']);
    }
    const other = { pageToken: first.nextPageToken, showRevoked: true };
    assert.deepEqual((await refusal(client.listApiKeys(other))).fields, ['page_token']);
  });
});
