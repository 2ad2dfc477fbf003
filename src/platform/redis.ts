import { Cluster, Redis, type RedisOptions, ReplyError } from 'ioredis';
import type { Breakers } from './breakers.ts';
import { errorFields, type Log } from './log.ts';
import { parseRedisUrl, type RedisUrl } from './redis-url.ts';

export type RedisClient = Redis | Cluster;

const CONNECT_TIMEOUT_MS = 2000;
const COMMAND_TIMEOUT_MS = 250;
/** A connection on which commands wait for this long without any answer is given up. */
const SILENCE_MS = 2000;
const RETRY_MAX_MS = 500;
const FAULTS_TO_OPEN = 3;
const REST_MS = 500;
/** How long a connection that is not wanted any more has to close before it is cut. */
const LEAVE_MS = 500;
const SENTINEL_RECONNECT_MS = 5000;
const SLOTS_REFRESH_MS = 2000;
/** Before a command that its node could not take is tried again, within its own time limit. */
const REDIRECT_MS = 50;

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
  socketTimeout: SILENCE_MS,
  connectionName: 'countersign',
  retryStrategy: (attempt: number) => Math.min(attempt * 50, RETRY_MAX_MS),
} satisfies RedisOptions;

/**
 * Connects to a server, to the master that Sentinels name, or to a cluster (`parseRedisUrl`) in the
 * background: the client is returned at once, and commands fail until it is connected. With `breakers`,
 * commands also fail at once after three failures in a row.
 */
export function connectRedis(url: string, log: Log, breakers?: Breakers): RedisClient {
  const client = createClient(url);
  if (breakers) guardCommands(client, breakers);
  client.on('error', (error) => {
    log.warn({ component: 'redis', ...errorFields(error), stack: undefined }, 'redis error');
  });
  return client;
}

/** Puts a breaker in front of all commands, except for those that set up a connection. */
function guardCommands(client: RedisClient, breakers: Breakers): void {
  const breaker = breakers.add('redis', { faults: FAULTS_TO_OPEN, restMs: REST_MS, isFault });
  const send = client.sendCommand.bind(client);
  client.sendCommand = (...args: Parameters<Cluster['sendCommand']>) => {
    const [command, stream, node] = args;
    // What a connection begins with, a part of a transaction, which is sent as a whole, or a command that
    // a cluster sends on to another of its nodes.
    if (client.status === 'connect' || stream || node) return send(...args);
    breaker.run(async () => void (await send(...args))).catch((error) => command.reject(error));
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

/** Only what the URL has: a name without a password would be refused. */
function credentialsOf(url: RedisUrl) {
  const { username, password, sentinelUsername, sentinelPassword } = url;
  return {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(sentinelUsername ? { sentinelUsername } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
  };
}

function createClient(url: string): RedisClient {
  const parsed = parseRedisUrl(url);
  if (parsed.kind === 'cluster') return clusterClient(parsed);
  if (parsed.kind === 'sentinel') return sentinelClient(parsed);
  return new Redis(url, FAIL_FAST);
}

/** Follows the master that the Sentinels name, also from one that is frozen and closes no connection. */
function sentinelClient(url: RedisUrl): Redis {
  return new Redis({
    ...FAIL_FAST,
    ...credentialsOf(url),
    ...(url.isTls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
    sentinels: url.hosts,
    name: url.path || 'mymaster',
    failoverDetector: true,
    // A Sentinel may be frozen too: the next one is asked.
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    sentinelRetryStrategy: FAIL_FAST.retryStrategy,
    sentinelReconnectStrategy: () => SENTINEL_RECONNECT_MS,
    disconnectTimeout: LEAVE_MS,
  });
}

/** Learns of new masters at intervals, since one that is frozen closes no connection and moves nobody. */
function clusterClient(url: RedisUrl): Cluster {
  // A cluster has these two options itself, not for each of its nodes.
  const { retryStrategy, enableOfflineQueue, ...commands } = FAIL_FAST;
  const tls = url.isTls ? { tls: {} } : {};
  return new Cluster(url.hosts, {
    redisOptions: { ...commands, ...credentialsOf(url), ...tls, disconnectTimeout: LEAVE_MS },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    maxRedirections: 4,
    retryDelayOnFailover: REDIRECT_MS,
    retryDelayOnClusterDown: REDIRECT_MS,
    retryDelayOnTryAgain: REDIRECT_MS,
    // Certificates are for names: don't resolve them first.
    dnsLookup: (address, callback) => callback(null, address),
  });
}
