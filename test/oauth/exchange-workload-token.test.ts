import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { newRobot } from '../api-keys/keys.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, isActive } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer } from '../mesh/asking.ts';
import { post } from './asking.ts';
import { OutsideIssuer } from './outside-issuer.ts';

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

let issuer: OutsideIssuer;
let service: Service;
let robot: string;

before(async () => {
  issuer = await OutsideIssuer.start();
  const first = await startService();
  robot = await newRobot(first, 'auditor');
  service = await startReplica(first, { env: issuer.trustedBy(robot) });
});

describe('ExchangeWorkloadToken', () => {
  it('A01 returns a token of the service account, which needs no secret', async () => {
    const exp = Math.floor(service.clock.now().getTime() / 1000) + 60;
    const subjectToken = await issuer.workloadToken(service, { exp });
    const got = await service.auth.exchangeWorkloadToken({ subjectToken });
    const { sub, sub_type, aud, sid, api_key_id, client_id } = claimsOf(got.accessToken);
    assert.deepEqual(
      { sub, sub_type, aud, sid, api_key_id, client_id },
      {
        ...{ sub: robot, sub_type: 'service_account', aud: 'https://issuer.test' },
        ...{ sid: undefined, api_key_id: undefined, client_id: robot },
      },
    );
    assert.ok(got.expiresAt && timestampMs(got.expiresAt) === exp * 1000);
    assert.ok(got.scopes.includes('audit.read'));
    assert.equal(await isActive(service, got.accessToken), true);
  });

  it('A01 returns one for an audience, with the scopes that were asked for', async () => {
    const audience = 'https://orders.test';
    const subjectToken = await issuer.workloadToken(service);
    const request = { subjectToken, audience, scopes: ['audit.read'] };
    const { accessToken, scopes } = await service.auth.exchangeWorkloadToken(request);
    const { aud, scope } = claimsOf(accessToken);
    assert.deepEqual([aud, scope, scopes], [audience, 'audit.read', ['audit.read']]);
  });

  it('A01 exchanges a token once, whether here or at /oauth2/token', async () => {
    const form = { grant_type: GRANT, subject_token_type: JWT };
    const byForm = (token: string) =>
      post(service, '/oauth2/token', { ...form, subject_token: token });
    const [one, two] = [await issuer.workloadToken(service), await issuer.workloadToken(service)];
    await service.auth.exchangeWorkloadToken({ subjectToken: one });
    assert.equal((await byForm(one)).body['error'], 'invalid_request');
    assert.equal((await byForm(two)).status, 200);
    const again = await refusal(service.auth.exchangeWorkloadToken({ subjectToken: two }));
    assert.deepEqual([again.reason, again.fields], ['INVALID_REQUEST', ['subject_token']]);
  });

  it('A07 says of a bad token no more than that it is one', async () => {
    const other = await OutsideIssuer.start();
    const bad = [
      'x',
      await issuer.workloadToken(service, { aud: 'https://other.test' }),
      await issuer.workloadToken(service, { iss: 'https://other.test' }),
      await issuer.workloadToken(service, { sub: 'repo:acme/other:ref:refs/heads/main' }),
      await issuer.workloadToken(service, { exp: 1 }),
      await other.workloadToken(service),
      (
        await service.auth.exchangeWorkloadToken({
          subjectToken: await issuer.workloadToken(service),
        })
      ).accessToken,
    ];
    const told = new Set<string>();
    for (const subjectToken of bad) {
      const refused = await refusal(service.auth.exchangeWorkloadToken({ subjectToken }));
      assert.deepEqual(
        [refused.code, refused.reason, refused.fields],
        [Code.InvalidArgument, 'INVALID_REQUEST', ['subject_token']],
      );
      told.add(refused.message);
    }
    assert.equal(told.size, 1);
  });

  it('names the scope that the service account lacks, and does not use the token up', async () => {
    const subjectToken = await issuer.workloadToken(service);
    const request = { subjectToken, scopes: ['audit.read', 'users.write'] };
    const { code, reason, metadata } = await refusal(service.auth.exchangeWorkloadToken(request));
    assert.deepEqual(
      [code, reason, metadata],
      [Code.PermissionDenied, 'SCOPE_MISSING', { scope: 'users.write' }],
    );
    await service.auth.exchangeWorkloadToken({ subjectToken });
  });

  it('ignores the credential of the call', async () => {
    const subjectToken = await issuer.workloadToken(service);
    const { accessToken } = await service.auth.exchangeWorkloadToken(
      { subjectToken },
      { headers: bearer('nonsense') },
    );
    assert.equal(claimsOf(accessToken)['sub'], robot);
  });

  it("W13 is unavailable while the platform's keys can't be had", async () => {
    const away = await OutsideIssuer.start();
    away.behaviour = 'gone';
    const replica = await startReplica(service, { env: away.trustedBy(robot) });
    const auth = replica.client(AuthService);
    const ask = async () =>
      auth.exchangeWorkloadToken({ subjectToken: await away.workloadToken(replica) });
    const { code, reason, retryAfterMs } = await refusal(ask());
    assert.deepEqual([code, reason], [Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
    assert.ok((retryAfterMs ?? 0) > 0);
    away.behaviour = 'good';
    await eventually(() =>
      ask().then(
        () => true,
        () => false,
      ),
    );
  });
});
