import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { Authorization } from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { bearer, check, checkRequest } from './asking.ts';

let service: Service;
let replica: Service;
let pat: Person;
let proxy: TcpProxy;

before(async () => {
  service = await startService();
  pat = await person(service, 'user', 'admin');
  proxy = new TcpProxy(service.databaseUrl);
  atEnd(() => proxy.close());
  const env = { DATABASE_URL: await proxy.listen(service.databaseUrl) };
  replica = await startReplica(service, { env: { ...env, REDIS_URL: 'redis://127.0.0.1:1' } });
});

const verify = (secret: string) =>
  fetch(`http://${replica.app.httpAddress}/verify`, { headers: bearer(secret) });

describe('Check and /verify, without the database', () => {
  it('M02 answer an outage as an outage, and never as a bad credential', async () => {
    const known = await newKey(service, pat);
    const unknown = await newKey(service, pat);
    assert.equal((await check(replica, { headers: bearer(known.secret) })).code, 0);
    assert.equal((await check(replica, { headers: bearer(pat.accessToken) })).code, 0);
    proxy.down();
    assert.equal((await check(replica, { headers: bearer(known.secret) })).code, 0);
    assert.equal((await check(replica, { headers: bearer(pat.accessToken) })).code, 0);
    assert.equal((await verify(known.secret)).status, 200);

    const asked = checkRequest({ headers: bearer(unknown.secret) });
    const failed = await refusal(replica.client(Authorization).check(asked));
    assert.equal(failed.code, Code.Unavailable);
    assert.ok(failed.retryAfterMs);
    const response = await verify(unknown.secret);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '1');
    assert.equal(response.headers.get('www-authenticate'), null);

    // What needs no database is still refused.
    assert.equal((await check(replica, {})).code, 16);
    assert.equal((await verify('garbage')).status, 401);
  });
});
