import type { Config } from '../config.ts';
import { checkBreachedPasswords } from './breached-passwords.ts';
import { checkCertificate } from './certificate.ts';
import { checkClock } from './clock.ts';
import { checkConnections } from './connections.ts';
import { Database } from './database.ts';
import { checkEmbedded } from './embedded.ts';
import { bounded, type Finding, findingOf, type State } from './finding.ts';
import { checkMasterKey } from './master-key.ts';
import { checkMigrations } from './migrations.ts';
import { checkPostgresql, checkStatementTimeout } from './postgresql.ts';
import { postgresqlFailure } from './postgresql-failure.ts';
import { checkProviders } from './providers.ts';
import { checkRedis } from './redis.ts';
import { checkReplication } from './replication.ts';
import { checkSigningKeys } from './signing-keys.ts';
import { checkSmtp } from './smtp.ts';
import { checkWebhooks } from './webhooks.ts';
import { checkWorkloadIssuers } from './workload-issuers.ts';

const GRAVITY: readonly State[] = ['ok', 'skipped', 'warning', 'failure'];

/**
 * Asks everything that the service depends on, all at once, and changes nothing. What does not answer is
 * waited for no longer than the limit, and keeps nothing else from being asked.
 */
export async function examine(config: Config): Promise<Finding[]> {
  const { redisUrl, smtpUrl, mailbox, tls, publicUrl, providers, workloadIssuers } = config;
  const { pwnedPasswordsUrl } = config.passwords;
  const groups = await Promise.all([
    onDatabase(config),
    bounded('redis', (signal) => checkRedis(redisUrl, signal)),
    bounded('smtp', (signal) => checkSmtp(smtpUrl, mailbox !== 'off', signal)),
    bounded('certificate', () => checkCertificate(tls, publicUrl)),
    bounded('providers', (signal) => checkProviders(providers, signal)),
    bounded('workload_issuers', (signal) => checkWorkloadIssuers(workloadIssuers, signal)),
    bounded('breached_passwords', (signal) => checkBreachedPasswords(pwnedPasswordsUrl, signal)),
  ]);
  return groups.flat();
}

/** The worst of the states. */
export function worstOf(found: readonly Finding[]): State {
  const worst = Math.max(0, ...found.map(({ state }) => GRAVITY.indexOf(state)));
  return GRAVITY[worst] ?? 'ok';
}

type Check = readonly [name: string, ask: (database: Database) => Promise<Finding[]>];

async function onDatabase(config: Config): Promise<Finding[]> {
  const { databaseUrl: url, dataDir, embeddedMinFreeBytes, masterKeys, webhooks } = config;
  if (url === undefined) {
    return bounded('embedded', () => checkEmbedded(dataDir, embeddedMinFreeBytes));
  }
  const checks: Check[] = [
    ['statement_timeout', (database) => checkStatementTimeout(database, config, url)],
    ['replication', checkReplication],
    ['connections', (database) => checkConnections(database, config.database.poolMax)],
    ['clock', (database) => checkClock(database)],
    ['migrations', checkMigrations],
    ['signing_keys', (database) => checkSigningKeys(database, config.signingAlg)],
    ['webhooks', (database) => checkWebhooks(database, webhooks)],
    ['master_key', (database) => checkMasterKey(database, masterKeys ?? new Map())],
  ];
  const database = new Database(url);
  try {
    const server = await bounded('postgresql', async () => {
      try {
        await database.connect();
        return await checkPostgresql(database, url);
      } catch (error) {
        return [postgresqlFailure(error, url)];
      }
    });
    if (!server.some(({ code }) => code === 'postgresql.ok' || code === 'postgresql.standby')) {
      return [...server, ...checks.map(([name]) => findingOf(name, 'skipped'))];
    }
    const asked = checks.map(([name, ask]) => bounded(name, () => ask(database)));
    return [...server, ...(await Promise.all(asked)).flat()];
  } finally {
    database.close();
  }
}
