/** What a Redis URL says. Unlike `URL`, it may name several hosts. */
export type RedisUrl = {
  kind: 'single' | 'sentinel' | 'cluster';
  isTls: boolean;
  username: string;
  password: string;
  /** For the Sentinels themselves, which have passwords of their own. */
  sentinelUsername: string;
  sentinelPassword: string;
  hosts: { host: string; port: number }[];
  /** Of a single server the number of its database, for Sentinels the name of the master. */
  path: string;
};

const FORM =
  /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^:@/?\s]*)(?::([^@/?\s]*))?@)?([^@/?\s]+)(?:\/([\w.-]*))?(?:\?(\S*))?$/;
const HOST = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/;
const SENTINEL_OPTIONS = ['sentinel_username', 'sentinel_password'];

/**
 * Reads `redis://…`, `redis+sentinel://host:port,…/master-name` or `redis+cluster://host:port,…`, each
 * also with `rediss`. Throws with a sentence that says what is wrong.
 */
export function parseRedisUrl(url: string): RedisUrl {
  const match = FORM.exec(url);
  if (!match)
    throw wrong('is not a URL like redis://host:6379 (rediss, redis+sentinel, redis+cluster)');
  const [, scheme, kind = 'single', username = '', password = '', authority = '', path = ''] =
    match;
  const options = new URLSearchParams(match[7] ?? '');
  const known = kind === 'sentinel' ? SENTINEL_OPTIONS : [];
  const unknown = [...options.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) throw wrong(`has an option that nothing reads: ${unknown}`);
  if (kind === 'cluster' && path !== '') throw wrong('has a path; a cluster has one database only');
  const standard = kind === 'sentinel' ? 26_379 : 6379;
  const hosts = authority.split(',').map((item) => hostOf(item, standard));
  if (kind === 'single' && hosts.length > 1) {
    throw wrong('names several hosts: write redis+sentinel:// or redis+cluster://');
  }
  return {
    kind: kind as RedisUrl['kind'],
    isTls: scheme === 'rediss',
    username: decoded(username),
    password: decoded(password),
    sentinelUsername: options.get('sentinel_username') ?? '',
    sentinelPassword: options.get('sentinel_password') ?? '',
    hosts,
    path,
  };
}

/** What is wrong with a Redis URL, if anything is. */
export function redisUrlProblem(url: string): string | undefined {
  try {
    parseRedisUrl(url);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

function hostOf(item: string, standard: number): { host: string; port: number } {
  const [, host, port] = HOST.exec(item) ?? [];
  if (host === undefined) throw wrong('names a host that is not like host:6379 or [::1]:6379');
  const number = Number(port ?? standard);
  if (number < 1 || number > 65_535) throw wrong('names a port that is not between 1 and 65535');
  return { host: host.replaceAll(/[[\]]/g, ''), port: number };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('has a % in its user or password that is not written as %25');
  }
}

function wrong(message: string): Error {
  return new Error(message);
}
