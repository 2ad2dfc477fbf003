import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../../src/platform/log.ts';
import { connectRedis } from '../../src/platform/redis.ts';
import { redisHints } from '../../src/platform/redis-hints.ts';
import { parseRedisUrl } from '../../src/platform/redis-url.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';
import { TcpProxy } from '../tcp-proxy.ts';

describe('Redis', () => {
  it('is not needed: one replica does everything without it', async () => {
    const service = await startService({ env: { REDIS_URL: '', COUNTERSIGN_RATE_LIMITS: 'on' } });
    const { accessToken, refreshToken } = await signedIn(service);
    await service.auth.refreshToken({ refreshToken });
    assert.equal((await service.sessions.introspectToken({ token: accessToken })).active, true);
    assert.equal((await service.app.readiness()).status, 'ready');
  });

  it('may be away at start: the service is degraded, and works', async () => {
    const service = await startService({
      env: { REDIS_URL: `redis://127.0.0.1:${await freePort()}`, COUNTERSIGN_RATE_LIMITS: 'on' },
    });
    const { accessToken, refreshToken } = await signedIn(service);
    const readiness = await service.app.readiness();
    assert.equal(readiness.status, 'degraded');
    assert.equal(readiness.checks['redis'], 'unavailable');
    await service.auth.logout({ refreshToken });
    assert.equal((await service.sessions.introspectToken({ token: accessToken })).active, false);
    const refused = await refusal(service.auth.refreshToken({ refreshToken }));
    assert.equal(refused.reason, 'TOKEN_REVOKED');
  });

  it('W07 is connected again when a connection has gone silent, also the one for hints', async () => {
    const proxy = new TcpProxy(REDIS_URL);
    const url = await proxy.listen(REDIS_URL);
    const log = createLog('silent');
    const client = connectRedis(url, log);
    const hints = redisHints(client, url, log);
    atEnd(() => {
      hints.close();
      client.disconnect();
      proxy.close();
    });
    let heard = 0;
    hints.subscribe(`silent-${process.pid}`, () => {
      heard += 1;
    });
    await eventually(() => heard > 0);
    proxy.lose();
    proxy.open();
    // What is lost stays lost: only new connections bring anything.
    const before = heard;
    await eventually(async () => (await client.ping().catch(() => '')) === 'PONG');
    await eventually(() => heard > before);
  });

  it('is reached by Sentinel and Cluster URLs with credentials', () => {
    const url = 'rediss+sentinel://user:p%40ss@a:1,[::1]/primary?sentinel_password=s%26s';
    assert.deepEqual(parseRedisUrl(url), {
      kind: 'sentinel',
      isTls: true,
      username: 'user',
      password: 'p@ss',
      sentinelUsername: '',
      sentinelPassword: 's&s',
      hosts: [
        { host: 'a', port: 1 },
        { host: '::1', port: 26_379 },
      ],
      path: 'primary',
    });
    assert.deepEqual(parseRedisUrl('redis+cluster://a:7000,b:7001').hosts, [
      { host: 'a', port: 7000 },
      { host: 'b', port: 7001 },
    ]);
  });
});
