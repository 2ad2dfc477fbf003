import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ApiKeyReason, ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { type Person, person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { newKey } from './keys.ts';

let service: Service;
let owner: Person;

before(async () => {
  service = await startService();
  owner = await person(service, 'user', 'admin');
});

describe('BatchVerifyApiKeys', () => {
  it('answers in the order of the requests, and a bad secret affects no other', async () => {
    const one = await newKey(service, owner);
    const two = await newKey(service, owner, { scopes: ['users.read'] });
    const client = service.client(ApiKeyService);
    const { responses } = await client.batchVerifyApiKeys({
      requests: [
        { secret: one.secret },
        { secret: 'garbage' },
        { secret: two.secret, requiredScopes: ['users.read'] },
        { secret: one.secret, requiredScopes: ['users.read'] },
      ],
    });
    assert.deepEqual(
      responses.map(({ valid, reason, principal }) => [valid, reason, principal?.apiKeyId]),
      [
        [true, 0, one.id],
        [false, ApiKeyReason.UNKNOWN_KEY, undefined],
        [true, 0, two.id],
        [false, ApiKeyReason.SCOPE_MISSING, one.id],
      ],
    );
  });
});
