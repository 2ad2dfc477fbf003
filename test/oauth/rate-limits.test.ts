import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { RatePolicy } from '../../gen/countersign/v1/access_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { type Person, person } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { basic, post } from './asking.ts';
import { type Acting, AUDIENCES, acting, ORDERS } from './delegation.ts';

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** A minute's calls of an address, and of a principal. */
const ALLOWED = 300;
const ALLOWED_PRINCIPAL = 3000;

let service: Service;
let replica: Service;
let pat: Person;
let gateway: Acting;
let orders: Acting;

before(async () => {
  const limited = { COUNTERSIGN_RATE_LIMITS: 'on', COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1' };
  service = await startService({ env: { ...AUDIENCES, ...limited } });
  replica = await startReplica(service);
  pat = await person(service, 'user', 'admin');
  [gateway, orders] = [
    await acting(service, pat, ['users.read']),
    await acting(service, pat, ['users.read']),
  ];
});

/** The counts of a run are in one Redis: each test calls from an address of its own. */
const newAddress = () => `203.${octet()}.${octet()}.${octet()}`;
const octet = () => 1 + Math.floor(Math.random() * 250);
const by = (address: string) => ({ 'x-forwarded-for': address });

const ask = async (
  form: Record<string, string>,
  { from, headers = {}, at = service }: { from: string; headers?: object; at?: Service },
) => {
  const { status, body } = await post(at, '/oauth2/token', form, { ...by(from), ...headers });
  return `${status} ${body['error']}`;
};

/** A request of the service's by each of the two ways, and why it is refused, if it is. */
async function exchanges(who: Acting, from: string, at = service) {
  const client = at.client(AuthService, 'grpc', who.secret);
  const request = { subjectToken: 'x', audience: ORDERS };
  const { reason } = await refusal(client.exchangeToken(request, { headers: by(from) }));
  const form = { grant_type: 'client_credentials', scope: 'nothing' };
  const headers = basic(who.robot, who.secret);
  return [reason, await ask(form, { from, headers, at })];
}

const OPEN = ['INVALID_REQUEST', '400 invalid_scope'];
const LIMITED = ['RATE_LIMITED', '429 temporarily_unavailable'];

describe('The limit of exchanges', () => {
  it('W10 counts strangers by address, and not the services that call from there', async () => {
    const from = newAddress();
    const strange: [Record<string, string>, object, string][] = [
      [{ grant_type: 'client_credentials' }, {}, '401 invalid_client'],
      [{ grant_type: GRANT, subject_token: 'x' }, basic('x', 'csk_x'), '401 invalid_client'],
      [{}, {}, '400 invalid_request'],
    ];
    for (let i = 0; i < ALLOWED; i += strange.length) {
      const told = strange.map(([form, headers]) => ask(form, { from, headers }));
      assert.deepEqual(
        await Promise.all(told),
        strange.map(([, , status]) => status),
      );
    }
    for (const [form, headers] of strange) {
      assert.equal(await ask(form, { from, headers }), '429 temporarily_unavailable');
      assert.equal(await ask(form, { from, headers, at: replica }), '429 temporarily_unavailable');
    }
    for (const who of [gateway, orders]) assert.deepEqual(await exchanges(who, from), OPEN);
  });

  it('W10 counts a service as itself, wherever it calls from and by which way', async () => {
    const redis = new Redis(REDIS_URL);
    const key = `countersign:rate:${RatePolicy.EXCHANGES}:principal ${gateway.robot}`;
    const from = newAddress();
    try {
      assert.deepEqual(await exchanges(gateway, from), OPEN);
      // The two calls, and those of the test before it.
      assert.ok(Number(await redis.get(key)) >= 2);
      await redis.set(key, ALLOWED_PRINCIPAL, 'KEEPTTL');
    } finally {
      redis.disconnect();
    }
    for (const at of [service, replica]) {
      for (const address of [from, newAddress()]) {
        assert.deepEqual(await exchanges(gateway, address, at), LIMITED);
        assert.deepEqual(await exchanges(orders, address, at), OPEN);
      }
    }
  });
});
