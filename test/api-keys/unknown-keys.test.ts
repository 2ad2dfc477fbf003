import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { newSecret } from '../../src/api-keys/api-key-secret.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { observe } from '../rpc/call-table.ts';
import { newKey } from './keys.ts';

/** Unknown keys of one address in a minute. */
const ALLOWED = 300;
const { introspectToken: method } = SessionService.method;

describe('Well-formed API keys that nobody has', () => {
  let service: Service;
  let owner: Person;

  before(async () => {
    const env = { COUNTERSIGN_RATE_LIMITS: 'on', COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.9' };
    service = await startService({ env });
    owner = await person(service, 'user', 'admin');
  });

  const goodKey = async () =>
    (await newKey(service, owner, { scopes: ['tokens.introspect'] })).secret;
  const present = (secret: string, from: string) =>
    observe(service, 'grpc', { method, from, headers: { 'x-api-key': secret } });
  const reasonOf = async (secret: string, from: string) =>
    (await present(secret, from)).refused?.reason;

  it('A02 W10 are looked up a limited number of times per address, without refusing others’ calls', async () => {
    const [guesser, other] = ['127.0.0.7', '127.0.0.8'];
    const [known, fresh] = [await goodKey(), await goodKey()];
    assert.equal(await reasonOf(known, guesser), undefined);
    // Keys that are found count for nothing.
    for (let call = 0; call < 5; call += 1) {
      assert.equal(await reasonOf(await goodKey(), guesser), undefined);
    }
    for (let call = 0; call < ALLOWED; call += 1) {
      assert.equal(await reasonOf(newSecret(randomUUID()), guesser), 'TOKEN_INVALID');
    }
    const { refused } = await present(newSecret(randomUUID()), guesser);
    assert.deepEqual([refused?.code, refused?.reason], [Code.ResourceExhausted, 'RATE_LIMITED']);
    assert.ok(refused?.retryAfterMs);
    assert.equal(await reasonOf(known, guesser), undefined);
    assert.equal(await reasonOf(fresh, guesser), 'RATE_LIMITED');
    assert.equal(await reasonOf(fresh, other), undefined);
    assert.equal(await reasonOf(fresh, guesser), undefined);
    assert.equal(await reasonOf(newSecret(randomUUID()), other), 'TOKEN_INVALID');
  });

  it('A02 are remembered for a moment, so that the same one again costs nothing', async () => {
    const sessions = service.client(SessionService);
    const headers = { 'x-api-key': newSecret(randomUUID()) };
    for (let call = 0; call < ALLOWED + 20; call += 1) {
      const refused = await refusal(sessions.introspectToken({ token: 'x' }, { headers }));
      assert.equal(refused.reason, 'TOKEN_INVALID');
    }
  });
});
