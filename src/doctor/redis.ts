import { once } from 'node:events';
import { Cluster } from 'ioredis';
import { createLog } from '../platform/log.ts';
import { connectRedis, type RedisClient } from '../platform/redis.ts';
import { parseRedisUrl } from '../platform/redis-url.ts';
import { codeOf, type Finding, findings, nameOf, type Sentences } from './finding.ts';

/** A command that takes longer than 250 ms counts as an outage. */
const SLOW_MS = 50;

export const REDIS = {
  'redis.none': { state: 'ok', says: 'none; one replica needs none' },
  'redis.ok': { state: 'ok', says: 'Redis {version} at {host}, {role}' },
  'redis.slow': {
    state: 'warning',
    says: 'Redis takes {taken} ms for a PING; from 250 ms on, replicas count it as away',
    todo: 'run it nearer to the replicas, and look for slow commands: `redis-cli slowlog get`',
  },
  'redis.replica': {
    state: 'failure',
    says: '{host} is a replica, which takes no writes: limits are counted by each replica alone',
    todo: 'name the master in REDIS_URL, or the sentinels: redis+sentinel://…',
  },
  'redis.evicts': {
    state: 'warning',
    says: 'maxmemory-policy is {policy}: if memory runs short, Redis drops the counts of rate limits, and callers start at zero again',
    todo: 'set maxmemory-policy to noeviction or volatile-ttl',
  },
  'redis.cluster': {
    state: 'failure',
    says: 'the cluster is in the state {state}: some keys have no master',
    todo: 'look at `redis-cli cluster nodes`, and bring the missing masters back',
  },
  'redis.refused': {
    state: 'failure',
    says: 'nothing listens at {host}: limits are counted by each replica alone, and revocations reach the others at their next look',
    todo: 'start Redis, or correct REDIS_URL',
  },
  'redis.silent': {
    state: 'failure',
    says: '{host} does not answer: limits are counted by each replica alone, and revocations reach the others at their next look',
    todo: 'look at whether Redis is frozen, or a firewall drops packets',
  },
  'redis.unknown_host': {
    state: 'failure',
    says: 'the name of {host} does not resolve',
    todo: 'correct the host of REDIS_URL',
  },
  'redis.credentials': {
    state: 'failure',
    says: 'Redis accepts neither the user nor the password of REDIS_URL',
    todo: 'correct them; as a file (REDIS_URL_FILE) they are read again when they change',
  },
  'redis.commands': {
    state: 'failure',
    says: 'Redis refuses a command that the service needs: {error}',
    todo: 'let its user run PING, INFO, PUBLISH, SUBSCRIBE, EVALSHA and what scripts do to countersign:*',
  },
  'redis.loading': {
    state: 'failure',
    says: 'Redis is loading its data, or its master is away',
    todo: 'wait; if it stays so, its log says why',
  },
  'redis.other': {
    state: 'failure',
    says: 'Redis at {host} can not be used: {error}',
    todo: 'look at the log of Redis, and at TLS if the URL begins with rediss',
  },
} as const satisfies Sentences;

const say = findings(REDIS);

/** Whether Redis is what the service needs: a master that answers at once and forgets nothing. */
export async function checkRedis(url: string | undefined, signal: AbortSignal): Promise<Finding[]> {
  if (url === undefined) return [say('redis.none')];
  const client = connectRedis(url, createLog('silent'));
  const host = parseRedisUrl(url)
    .hosts.map((each) => `${each.host}:${each.port}`)
    .join(',');
  signal.addEventListener('abort', () => client.disconnect(), { once: true });
  try {
    await ready(client, signal);
    return await ask(client, host);
  } catch (error) {
    signal.throwIfAborted();
    return [failure(error, host)];
  } finally {
    client.disconnect();
  }
}

/** The client would try again for good: the first error is what is wrong. */
async function ready(client: RedisClient, signal: AbortSignal): Promise<void> {
  if (client.status !== 'ready') await once(client, 'ready', { signal });
}

async function ask(client: RedisClient, host: string): Promise<Finding[]> {
  await client.ping();
  const startedAt = performance.now();
  await client.ping();
  const ms = performance.now() - startedAt;
  const info = await client.info();
  const read = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const found: Finding[] = [];
  if (client instanceof Cluster) {
    const state =
      /cluster_state:(\w+)/.exec(String(await client.cluster('INFO')))?.[1] ?? 'unknown';
    if (state !== 'ok') found.push(say('redis.cluster', { state }));
  } else if (read('role') === 'slave') {
    found.push(say('redis.replica', { host }));
  }
  const policy = read('maxmemory_policy');
  const isBounded = Number(read('maxmemory')) > 0;
  if (isBounded && /^allkeys-|^volatile-(lru|lfu|random|lrm)/.test(policy)) {
    found.push(say('redis.evicts', { policy }));
  }
  if (ms > SLOW_MS) found.push(say('redis.slow', { taken: Math.round(ms) }));
  const role = client instanceof Cluster ? 'a cluster' : read('role');
  const version = read('redis_version');
  return [say('redis.ok', { version, host, role }, ms), ...found];
}

function failure(error: unknown, host: string): Finding {
  const message = error instanceof Error ? error.message : '';
  const code = codeOf(error);
  const [, word = ''] = /^([A-Z]{4,})/.exec(message) ?? [];
  if (code === 'ECONNREFUSED') return say('redis.refused', { host });
  if (code === 'ETIMEDOUT' || /timed out/.test(message)) return say('redis.silent', { host });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return say('redis.unknown_host', { host });
  if (/^(NOAUTH|WRONGPASS)|invalid password|without any password/.test(message)) {
    return say('redis.credentials');
  }
  if (word === 'NOPERM') return say('redis.commands', { error: word });
  if (word === 'LOADING' || word === 'MASTERDOWN') return say('redis.loading');
  return say('redis.other', { host, error: word || nameOf(error) });
}
