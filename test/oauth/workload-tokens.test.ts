import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { generateKeyPair } from 'jose';
import { readConfig } from '../../src/config.ts';
import { serviceAccountOf, type WorkloadIssuer } from '../../src/oauth/workload-issuer.ts';
import { withRoles } from '../administrators.ts';
import { newRobot } from '../api-keys/keys.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { claimsOf, isActive, UNKNOWN_ID } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { post } from './asking.ts';
import { OutsideIssuer } from './outside-issuer.ts';

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const AUDIENCE = 'https://id.test';
const SUBJECT = 'system:serviceaccount:shop:orders';
const HOUR = 3600;

let issuer: OutsideIssuer;
let other: OutsideIssuer;
let service: Service;
let robot: string;

const settingsOf = ({ url }: OutsideIssuer, id: string) => ({
  issuer: url,
  audience: AUDIENCE,
  subjects: [
    { subject: SUBJECT, service_account: id },
    { subject: 'repo:acme/*:ref:refs/heads/main', service_account: id },
    { subject: 'nobody', service_account: UNKNOWN_ID },
  ],
});

before(async () => {
  issuer = await OutsideIssuer.start();
  other = await OutsideIssuer.start();
  const first = await startService();
  robot = await newRobot(first, 'auditor');
  const { url } = issuer;
  const settings = [
    { ...settingsOf(issuer, robot), jwks_uri: `${url}/keys` },
    settingsOf(other, robot),
  ];
  const env = { COUNTERSIGN_WORKLOAD_ISSUERS: JSON.stringify(settings) };
  service = await startReplica(first, { env });
});

const now = () => Math.floor(service.clock.now().getTime() / 1000);
const claims = (more: object = {}) => ({
  ...{ sub: SUBJECT, aud: AUDIENCE, jti: randomUUID(), iat: now(), exp: now() + HOUR },
  ...more,
});
const exchange = (token: string, form: Record<string, string> = {}, at = service) =>
  post(at, '/oauth2/token', {
    ...{ grant_type: GRANT, subject_token: token, subject_token_type: JWT },
    ...form,
  });

describe("A workload's token of an outside issuer", () => {
  it('A01 becomes a token of its service account, without a secret', async () => {
    const { status, body } = await exchange(await issuer.sign(claims()));
    assert.equal(status, 200);
    const token = String(body['access_token']);
    const { sub, sub_type, scope, aud, sid, api_key_id, roles } = claimsOf(token);
    assert.deepEqual(
      { sub, sub_type, aud, sid, api_key_id, roles },
      {
        ...{ sub: robot, sub_type: 'service_account', aud: 'https://issuer.test' },
        ...{ sid: undefined, api_key_id: undefined, roles: [] },
      },
    );
    assert.match(String(scope), /audit\.read/);
    assert.equal(await isActive(service, token), true);
    const exp = now() + 60;
    const narrow = await exchange(await issuer.sign(claims({ exp })), {
      ...{ scope: 'audit.read', audience: 'https://orders.test' },
    });
    const told = claimsOf(String(narrow.body['access_token']));
    assert.deepEqual(
      [told['scope'], told['aud'], told['exp']],
      ['audit.read', 'https://orders.test', exp],
    );
    const ci = await issuer.sign(claims({ sub: 'repo:acme/shop:ref:refs/heads/main' }));
    assert.equal((await exchange(ci)).status, 200);
    assert.equal((await exchange(await other.sign(claims()))).status, 200);
    const [event] = await sql(
      service.databaseUrl,
      `select actor, subject from audit_events where details->>'token_id' = $1`,
      [claimsOf(token)['jti']],
    );
    assert.deepEqual(event, { actor: null, subject: robot });
  });

  it('can be exchanged once, by racers on two replicas too', async () => {
    const replica = await startReplica(service);
    const token = await issuer.sign(claims());
    const told = await Promise.all(
      Array.from({ length: 12 }, (_, i) => exchange(token, {}, i % 2 === 0 ? service : replica)),
    );
    assert.equal(told.filter(({ status }) => status === 200).length, 1);
    for (const { status, body } of told) {
      assert.ok(status === 200 || body['error'] === 'invalid_request');
    }
  });

  it('A07 is refused if anything about it is wrong, for no stated reason', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const { privateKey: mac } = { privateKey: new Uint8Array(32).fill(7) };
    const bad = [
      await issuer.sign(claims({ aud: 'https://other.test' })),
      await issuer.sign(claims({ aud: undefined })),
      await issuer.sign(claims({ sub: 'system:serviceaccount:shop:other' })),
      await issuer.sign(claims({ sub: `${SUBJECT}x` })),
      await issuer.sign(claims({ sub: 'repo:acme/a/b:ref:refs/heads/main' })),
      await issuer.sign(claims({ sub: 'repo:acme/a:ref:refs/heads/x:ref:refs/heads/main' })),
      await issuer.sign(claims({ sub: undefined })),
      await issuer.sign(claims({ sub: 'nobody' })),
      await issuer.sign(claims({ sub: [SUBJECT] as unknown as string })),
      await issuer.sign(claims({ jti: undefined })),
      await issuer.sign(claims({ jti: null as unknown as string })),
      await issuer.sign(claims({ jti: {} as string })),
      await issuer.sign(claims({ exp: undefined })),
      await issuer.sign(claims({ exp: now() - HOUR })),
      await issuer.sign(claims({ exp: now() + 25 * HOUR })),
      await issuer.sign(claims({ nbf: now() + HOUR })),
      await issuer.sign(claims(), {}, privateKey),
      await issuer.sign(claims(), { alg: 'HS256' }, mac),
      await issuer.sign(claims(), { kid: 'unusable' }),
      await other.sign(claims({ iss: issuer.url })),
    ];
    for (const [i, token] of bad.entries()) {
      const { status, body } = await exchange(token);
      assert.deepEqual([status, body['error']], [400, 'invalid_request'], `${i}`);
    }
    // One of nobody we know is no token of a workload: it takes a client to exchange anything else.
    const unknown = await issuer.sign(claims({ iss: 'https://unknown.test' }));
    assert.equal((await exchange(unknown)).body['error'], 'invalid_client');
    const token = await issuer.sign(claims());
    const scope = await exchange(token, { scope: 'users.write' });
    assert.equal(scope.body['error'], 'invalid_scope');
    // What was refused was not used up.
    assert.equal((await exchange(token)).status, 200);
  });

  it('A01 is of the service account whose pattern fits all of its subject, however long that is', () => {
    const fits = (pattern: string, subject: string) =>
      serviceAccountOf(
        { subjects: [{ subject: pattern, service_account: robot }] } as WorkloadIssuer,
        subject,
      ) !== undefined;
    const good = [
      ['a', 'a'],
      ['*', ''],
      ['a*', 'a'],
      ['a*c*e', 'abcde'],
      ['*ab*ab', 'abab'],
      ['a:*/*', 'a:b/'],
    ] as const;
    for (const [pattern, subject] of good) assert.ok(fits(pattern, subject), pattern);
    const bad = [
      ['a', 'A'],
      ['a', 'a\n'],
      ['a*a', 'a'],
      ['a*b*b', 'ab'],
      ['*', 'a:'],
      ['a:*', 'a/b'],
      ['a.c', 'abc'],
      // Whoever tries each way to divide the hyphens never comes to an end.
      [`${'*-'.repeat(12)}y`, '-'.repeat(250)],
    ] as const;
    for (const [pattern, subject] of bad) assert.ok(!fits(pattern, subject), pattern);
  });

  it('S09 leads to a token that ends when the service account loses a role', async () => {
    const own = await newRobot(service, 'auditor');
    const env = { COUNTERSIGN_WORKLOAD_ISSUERS: JSON.stringify([settingsOf(other, own)]) };
    const replica = await startReplica(service, { env });
    const { body } = await exchange(await other.sign(claims()), {}, replica);
    const token = String(body['access_token']);
    assert.equal(await isActive(service, token), true);
    const boss = await withRoles(service, 'user', 'admin');
    await boss.admin.revokeRole({
      ...{ holder: { case: 'serviceAccountId', value: own }, role: 'auditor' },
    });
    assert.equal(await isActive(service, token), false);
  });

  it('is accepted under a new key of its issuer', async () => {
    await exchange(await issuer.sign(claims()));
    await issuer.rotate();
    await eventually(async () => (await exchange(await issuer.sign(claims()))).status === 200);
  });

  for (const behaviour of ['gone', 'slow', 'long'] as const) {
    it(`W13 is for later while the key set is ${behaviour}, and the issuer is left alone`, async () => {
      const away = await OutsideIssuer.start();
      away.behaviour = behaviour;
      const env = { COUNTERSIGN_WORKLOAD_ISSUERS: JSON.stringify([settingsOf(away, robot)]) };
      const replica = await startReplica(service, { env });
      const lines = await logLines(async () => {
        for (let i = 0; i < 6; i += 1) {
          const { status, headers, body } = await exchange(await away.sign(claims()), {}, replica);
          assert.deepEqual([status, body['error']], [503, 'temporarily_unavailable']);
          assert.ok(headers.has('retry-after'));
        }
      });
      assert.ok(away.asked <= 4, `${away.asked}`);
      assert.ok(lines.some((line) => line['component'] === 'workload keys'));
      away.behaviour = 'good';
      await eventually(async () => {
        return (await exchange(await away.sign(claims()), {}, replica)).status === 200;
      });
    });
  }
});

describe('COUNTERSIGN_WORKLOAD_ISSUERS', () => {
  const problems = (value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    try {
      readConfig({ COUNTERSIGN_WORKLOAD_ISSUERS: text }, () => '');
      return [];
    } catch (error) {
      return (error as { problems: string[] }).problems;
    }
  };

  it('is refused at the start if it cannot be meant', () => {
    const good = settingsOf(issuer, UNKNOWN_ID);
    assert.deepEqual(problems([good]), []);
    const bad = [
      'x',
      {},
      [good, good],
      [{ ...good, audience: '' }],
      [{ ...good, issuer: 'http://cluster.example' }],
      [{ ...good, jwks_uri: 'file:///etc/passwd' }],
      [{ ...good, subjects: [] }],
      [{ ...good, subjects: [{ subject: 'x', service_account: 'x' }] }],
      [{ ...good, subject: 'x' }],
    ];
    for (const value of bad) {
      assert.match(problems(value).join(), /COUNTERSIGN_WORKLOAD_ISSUERS at/);
    }
  });
});
