import { Keyring } from '../platform/crypto.ts';
import { PRIVATE_KEY_PURPOSE } from '../signing-keys/generate-signing-key.ts';
import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

/** How many rows of a table are looked at: of a larger one, that many somewhere in it. */
const SAMPLE_ROWS = 200_000;

export const MASTER_KEY = {
  'master_key.ok': {
    state: 'ok',
    says: 'every version that the database needs is configured: {versions}',
  },
  'master_key.missing': {
    state: 'failure',
    says: 'version {version} of the master key is not configured, and protects {what}',
    todo: 'put it back into COUNTERSIGN_MASTER_KEY, behind the current one: `{current}:…,{version}:…`',
  },
  'master_key.wrong': {
    state: 'failure',
    says: 'version {version} of the master key is not the one that the signing keys were sealed with',
    todo: 'configure the key that the other replicas have; with this one no token can be signed',
  },
} as const satisfies Sentences;

const say = findings(MASTER_KEY);

/** The version that something sealed begins with (`Keyring.seal`). */
const sealed = (column: string) => `get_byte(${column}, 0) * 256 + get_byte(${column}, 1)`;
const QUEUED = "decode(left(data->>'body', 4), 'base64')";

/** What the master key protects: where, by which version, and of which rows. */
const PROTECTED: readonly { what: string; table: string; version: string; where: string }[] = [
  {
    what: 'signing keys',
    table: 'signing_keys',
    version: sealed('private_sealed'),
    where: "state <> 'retired'",
  },
  {
    what: 'sessions',
    table: 'sessions',
    version: 'refresh_key_version',
    where: 'ended_at is null and expires_at > now()',
  },
  { what: 'API keys', table: 'api_keys', version: 'key_version', where: 'revoked_at is null' },
  {
    what: 'authenticator apps',
    table: 'totp_credentials',
    version: sealed('secret_sealed'),
    where: 'true',
  },
  { what: 'recovery codes', table: 'recovery_codes', version: 'key_version', where: 'true' },
  {
    what: 'mailed links',
    table: 'mailed_tokens',
    version: 'key_version',
    where: 'expires_at > now()',
  },
  { what: 'webhooks', table: 'webhooks', version: sealed('secret'), where: 'deleted_at is null' },
  {
    what: 'the ends of the audit chain',
    table: 'audit_chain',
    version: 'key_version',
    where: 'true',
  },
  {
    what: 'queued mail',
    table: 'jobs.job',
    version: sealed(QUEUED),
    where: "state < 'completed' and data->>'body' is not null",
  },
];

/** Whether this configuration opens what the database holds. */
export async function checkMasterKey(
  database: Database,
  masters: ReadonlyMap<number, Buffer>,
): Promise<Finding[]> {
  const keyring = new Keyring(masters);
  const protecting = new Map<number, string[]>();
  for (const each of PROTECTED) {
    for (const version of await versionsIn(database, each)) {
      protecting.set(version, [...(protecting.get(version) ?? []), each.what]);
    }
  }
  const missing = [...protecting].filter(([version]) => !keyring.has(version));
  const wrong = await wrongVersions(database, keyring);
  const found = [
    ...missing.map(([version, what]) =>
      say('master_key.missing', { version, what: what.join(', '), current: keyring.current }),
    ),
    ...wrong.map((version) => say('master_key.wrong', { version })),
  ];
  if (found.length > 0) return found;
  const versions = [...protecting.keys()].sort((a, b) => a - b).join(', ') || 'none yet';
  return [say('master_key.ok', { versions })];
}

async function versionsIn(
  database: Database,
  { table, version, where }: (typeof PROTECTED)[number],
): Promise<number[]> {
  const [size] = await database.ask<{ rows: number }>(
    'select reltuples::float8 as rows from pg_class where oid = to_regclass($1)',
    [table],
  );
  // Before its migration, a table is missing.
  if (!size) return [];
  const isLarge = size.rows > SAMPLE_ROWS;
  const sample = isLarge ? `tablesample system (${(100 * SAMPLE_ROWS) / size.rows})` : '';
  const rows = await database.ask<{ version: number }>(
    `select distinct (${version})::int as version from ${table} ${sample} where ${where}`,
  );
  return rows.map((row) => row.version);
}

/** The versions that we have, but that do not open the signing keys. */
async function wrongVersions(database: Database, keyring: Keyring): Promise<number[]> {
  const keys = await database.ask<{ sealed: Buffer }>(
    `select private_sealed as sealed from signing_keys where state <> 'retired'`,
  );
  const wrong = keys
    .map(({ sealed }) => ({ sealed, version: keyring.versionOf(sealed) }))
    .filter(({ sealed, version }) => keyring.has(version) && !opens(keyring, sealed));
  return [...new Set(wrong.map(({ version }) => version))];
}

function opens(keyring: Keyring, sealed: Buffer): boolean {
  try {
    keyring.open(PRIVATE_KEY_PURPOSE, sealed);
    return true;
  } catch {
    return false;
  }
}
