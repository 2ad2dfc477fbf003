import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { IntrospectionReason } from '../../gen/countersign/v1/session_service_pb.ts';
import { BUILT_IN_PERMISSIONS } from '../../src/access/permissions.ts';
import { Forger } from '../forge.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const { UNSPECIFIED, INACTIVE, SCOPE_MISSING, PERMISSION_MISSING } = IntrospectionReason;

describe('BatchIntrospectTokens', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const batch = (requests: { token: string; requiredScopes?: string[] }[]) =>
    service.sessions.batchIntrospectTokens({ requests });

  it('answers each request in its place, as IntrospectToken would', async () => {
    const [one, two] = [await signedIn(service), await signedIn(service)];
    const requests = [
      { token: one.accessToken },
      { token: 'garbage' },
      { token: two.accessToken, requiredScopes: ['users.read'] },
      { token: '' },
      { token: two.accessToken, requiredPermissions: ['users.read'] },
      { token: one.accessToken, audience: 'https://other.test' },
      { token: one.accessToken },
    ];
    const { responses } = await batch(requests);
    const reasons = [UNSPECIFIED, INACTIVE, SCOPE_MISSING, INACTIVE, PERMISSION_MISSING, INACTIVE];
    assert.deepEqual(
      responses.map(({ reason }) => reason),
      [...reasons, UNSPECIFIED],
    );
    for (const [i, request] of requests.entries()) {
      assert.deepEqual(responses[i], await service.sessions.introspectToken(request));
    }
  });

  it('accepts 50 unseen tokens with every permission', async () => {
    const forger = await Forger.of(service);
    const scope = Object.keys(BUILT_IN_PERMISSIONS).join(' ');
    const times = Array.from({ length: 25 }, (_, i) => forger.token({ auth_time: i, scope }));
    const tokens = (await Promise.all(times)).flatMap((token) => [token, `${token}x`]);
    const { responses } = await batch(tokens.map((token) => ({ token })));
    assert.deepEqual(
      responses.map(({ active, principal }) => active && Number(principal?.authTime?.seconds)),
      Array.from({ length: 50 }, (_, i) => (i % 2 ? false : i / 2)),
    );
  });

  it('refuses none and more than 50, and names the request that breaks a rule', async () => {
    for (const count of [0, 51]) {
      const refused = await refusal(batch(Array(count).fill({ token: '' })));
      assert.equal(refused.code, Code.InvalidArgument);
      assert.deepEqual(refused.fields, ['requests']);
    }
    const odd = await refusal(batch([{ token: '' }, { token: '', requiredScopes: [''] }]));
    assert.deepEqual(odd.fields, ['requests[1].required_scopes[0]']);
  });
});
