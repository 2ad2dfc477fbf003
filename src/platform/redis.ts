import { Cluster, Redis, type RedisOptions, ReplyError } from 'ioredis';
import type { Breakers } from './breakers.ts';
import { errorFields, type Log } from './log.ts';

export type RedisClient = Redis | Cluster;

const CONNECT_TIMEOUT_MS = 2000;
const COMMAND_TIMEOUT_MS = 250;
const RETRY_MAX_MS = 1000;
const FAULTS_TO_OPEN = 3;
const REST_MS = 500;

/**
 * Fails fast in every case: nothing is queued while Redis is unreachable, a command has 250 ms, and
 * none is sent twice. A command that timed out may still have run, so commands must be idempotent.
 */
const FAIL_FAST = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  connectionName: 'countersign',
  retryStrategy: (attempt: number) => Math.min(attempt * 50, RETRY_MAX_MS),
} satisfies RedisOptions;

/**
 * Connects to `redis://`, `rediss://`, `redis+sentinel://host:port,…/service-name` or
 * `redis+cluster://host:port,…` in the background: the client is returned at once, and commands fail
 * until it is connected. With `breakers`, commands also fail at once after three failures in a row.
 */
export function connectRedis(url: string, log: Log, breakers?: Breakers): RedisClient {
  const client = createClient(url);
  if (breakers) guardCommands(client, breakers);
  client.on('error', (error) => {
    log.warn({ component: 'redis', ...errorFields(error), stack: undefined }, 'redis error');
  });
  return client;
}

/** Has every command that is not part of connecting run behind a breaker. */
function guardCommands(client: RedisClient, breakers: Breakers): void {
  const breaker = breakers.add('redis', { faults: FAULTS_TO_OPEN, restMs: REST_MS, isFault });
  const send = client.sendCommand.bind(client);
  client.sendCommand = (...[command, stream]: Parameters<typeof send>) => {
    // What a connection begins with, or a part of a transaction, which is sent as a whole.
    if (client.status === 'connect' || stream) return send(command, stream);
    breaker.run(async () => void (await send(command))).catch((error) => command.reject(error));
    return command.promise;
  };
}

/** Redis answers even if it refuses a command. */
function isFault(error: unknown): boolean {
  return !(error instanceof ReplyError);
}

/**
 * Makes new connections use the user and password of this URL. Open ones stay: they are authenticated
 * already. A change of hosts needs a restart.
 */
export function setRedisCredentials(client: RedisClient, url: string): void {
  const options = client instanceof Cluster ? client.options.redisOptions : client.options;
  Object.assign(options ?? {}, credentialsOf(parseRedisUrl(url)));
}

function credentialsOf({ username, password }: { username: string; password: string }) {
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}

function createClient(url: string): RedisClient {
  const { protocol, hosts, path, ...rest } = parseRedisUrl(url);
  const credentials = credentialsOf(rest);
  if (protocol === 'redis+cluster:') {
    // A cluster has these two options itself, not for each of its nodes.
    const { retryStrategy: _, enableOfflineQueue: __, ...commands } = FAIL_FAST;
    return new Cluster(hosts, {
      redisOptions: { ...commands, ...credentials },
      enableOfflineQueue: false,
      clusterRetryStrategy: (attempt) => Math.min(attempt * 50, RETRY_MAX_MS),
    });
  }
  if (protocol === 'redis+sentinel:') {
    return new Redis({ ...FAIL_FAST, ...credentials, sentinels: hosts, name: path || 'mymaster' });
  }
  return new Redis(url, FAIL_FAST);
}

/** Parses a Redis URL. It may name several hosts, which `URL` does not accept. */
export function parseRedisUrl(url: string): {
  protocol: string;
  username: string;
  password: string;
  hosts: { host: string; port: number }[];
  path: string;
} {
  const match = /^([a-z+]+:)\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/]+)(?:\/(.*))?$/.exec(url);
  if (!match) throw new Error('the Redis URL is malformed; write redis://host:port');
  const [, protocol = '', username = '', password = '', authority = '', path = ''] = match;
  const hosts = authority.split(',').map((item) => {
    const [host = '', port] = item.split(':');
    return { host, port: Number(port ?? (protocol === 'redis+sentinel:' ? 26_379 : 6379)) };
  });
  return {
    protocol,
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    hosts,
    path,
  };
}
