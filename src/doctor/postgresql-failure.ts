import { codeOf, type Finding, findings, nameOf, type Sentences } from './finding.ts';

/** Why PostgreSQL can't be used, in words. */
export const POSTGRESQL_FAILURES = {
  'postgresql.refused': {
    state: 'failure',
    says: 'nothing listens at {host}',
    todo: 'start PostgreSQL, or correct the host and port of DATABASE_URL',
  },
  'postgresql.unknown_host': {
    state: 'failure',
    says: 'the name of {host} does not resolve',
    todo: 'correct the host of DATABASE_URL, or ask why the name servers of this machine do not know it',
  },
  'postgresql.unreachable': {
    state: 'failure',
    says: '{host} can not be reached: {error}',
    todo: 'look at the network between this machine and the server: routes, firewalls, network policies',
  },
  'postgresql.silent': {
    state: 'failure',
    says: '{host} lets nobody in within 2.5 s',
    todo: 'look at whether the server is frozen or overloaded, or a firewall drops packets',
  },
  'postgresql.password': {
    state: 'failure',
    says: 'the password of the role {role} is wrong, or there is no such role (28P01)',
    todo: 'correct the user and password of DATABASE_URL; if the password was rotated, restart or reload what still has the old one',
  },
  'postgresql.role': {
    state: 'failure',
    says: 'the server lets the role {role} in from here by no rule of its pg_hba.conf, or not at all (28000)',
    todo: 'add a line to pg_hba.conf for this role, database and address, and look at whether it asks for TLS (sslmode)',
  },
  'postgresql.database': {
    state: 'failure',
    says: 'there is no database {database} (3D000)',
    todo: 'create it, `create database`, or correct the name in DATABASE_URL; `countersign migrate` then makes the tables',
  },
  'postgresql.protocol': {
    state: 'failure',
    says: 'whatever stands in front of the database ended the connection (08P01): a pooler such as PgBouncer does so for a database, user or startup parameter that it does not know',
    todo: "look at the pooler's log, and at its [databases], auth_file and ignore_startup_parameters",
  },
  'postgresql.full': {
    state: 'failure',
    says: 'every connection of the server, the database or the role is taken (53300)',
    todo: 'raise max_connections, lower COUNTERSIGN_DB_POOL_MAX, run fewer replicas, or put a pooler in front',
  },
  'postgresql.starting': {
    state: 'failure',
    says: 'the server is starting, stopping or recovering (57P03)',
    todo: 'wait; if it stays so, its log says what it is waiting for',
  },
  'postgresql.not_allowed': {
    state: 'failure',
    says: 'the role {role} may not connect to the database {database} (42501)',
    todo: 'grant connect on the database to the role',
  },
  'postgresql.tls': {
    state: 'failure',
    says: 'no TLS with {host}: {error}',
    todo: "correct sslmode and sslrootcert of DATABASE_URL, or the server's certificate",
  },
  'postgresql.other': {
    state: 'failure',
    says: '{host} refuses to serve: {error}',
    todo: 'look the code up in appendix A of the PostgreSQL documentation, and look at the log of the server',
  },
} as const satisfies Sentences;

const say = findings(POSTGRESQL_FAILURES);

const BY_CODE: Readonly<Record<string, keyof typeof POSTGRESQL_FAILURES>> = {
  ECONNREFUSED: 'postgresql.refused',
  ENOENT: 'postgresql.refused',
  ENOTFOUND: 'postgresql.unknown_host',
  EAI_AGAIN: 'postgresql.unknown_host',
  EHOSTUNREACH: 'postgresql.unreachable',
  ENETUNREACH: 'postgresql.unreachable',
  ECONNRESET: 'postgresql.unreachable',
  EPIPE: 'postgresql.unreachable',
  ETIMEDOUT: 'postgresql.silent',
  '28P01': 'postgresql.password',
  '28000': 'postgresql.role',
  '3D000': 'postgresql.database',
  '08P01': 'postgresql.protocol',
  '53300': 'postgresql.full',
  '57P03': 'postgresql.starting',
  '42501': 'postgresql.not_allowed',
};

/** Node's codes for certificates, and OpenSSL's for everything else. */
const TLS = /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(VERIFY|GET_ISSUER)|EPROTO)/;

/** Says why there is no connection, or why a statement failed. */
export function postgresqlFailure(error: unknown, url: string): Finding {
  const { host, username, pathname } = new URL(url);
  const values = {
    host,
    role: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
    error: nameOf(error),
  };
  const code = codeOf(error) ?? '';
  const known = BY_CODE[code];
  if (known) return say(known, values);
  const message = error instanceof Error ? error.message : '';
  if (TLS.test(code) || /does not support SSL/.test(message)) return say('postgresql.tls', values);
  if (/timeout/i.test(message)) return say('postgresql.silent', values);
  if (/Connection terminated/.test(message)) return say('postgresql.unreachable', values);
  return say('postgresql.other', values);
}
