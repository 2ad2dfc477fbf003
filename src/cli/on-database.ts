import { type Config, readConfig } from '../config.ts';
import { Outbox } from '../mail/outbox.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { Keyring } from '../platform/crypto.ts';
import { DatabaseClock } from '../platform/database-clock.ts';
import { Failure } from '../platform/failure.ts';
import { Jobs } from '../platform/jobs.ts';
import { createLog, type Log } from '../platform/log.ts';
import { masterKeyIn } from '../platform/master-key.ts';
import { printable, printableJson } from '../platform/printable.ts';
import { type Hints, noHints } from '../platform/redis-hints.ts';
import { MAX_TRANSACTION_MS, type SqlDatabase } from '../platform/sql-database.ts';
import { RevocationFeed } from '../revocations/revocation-feed.ts';
import { openDatabase } from '../schema.ts';
import { KeySet } from '../signing-keys/key-set.ts';
import { Database } from '../unit-of-work/database.ts';
import { EXIT, type Io, print } from './io.ts';

/** The result of a command, for scripts and for people. */
export type Answer = { json: unknown; text: string };

/** Everything that commands may need of the service. */
export type OnDatabase = {
  config: Config;
  sql: SqlDatabase;
  database: Database;
  keyring: Keyring;
  clock: Clock;
  log: Log;
  /** None: replicas look at the tables several times a second, and workers at their queues. */
  hints: Hints;
  keys: KeySet;
  revocations: RevocationFeed;
};

/** A command may wait longer for the database than a call. */
const LIMITS = { statementTimeoutMs: MAX_TRANSACTION_MS, acquireTimeoutMs: 10_000 };

/**
 * Runs a command on the database that the service uses, without asking the service, which may be down.
 * Returns the exit code: that of `work`, or that of the failure it ended with.
 */
export async function onDatabase(
  io: Io,
  work: (on: OnDatabase) => Promise<number>,
): Promise<number> {
  const given = readConfig(io.env, io.readFile);
  const config = { ...given, database: { ...given.database, ...LIMITS } };
  const log = createLog('silent');
  const keyring = new Keyring(config.masterKeys ?? (await masterKeyIn(config.dataDir)));
  const sql = await openDatabase(config, log);
  const jobs = new Jobs(sql, log);
  try {
    if ((await sql.pendingMigrations()).length > 0) {
      const text = 'the schema is not up to date: run `countersign migrate`\n';
      return print(io.err, text, EXIT.failed);
    }
    const clock = new DatabaseClock(systemClock);
    await clock.ask(sql);
    await jobs.start();
    return await work(connect(config, { keyring, sql, log, clock, jobs }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return print(io.err, `${printable(error.message)}\n`, exitCode(error));
  } finally {
    await jobs.stop();
    await sql.close();
  }
}

function connect(
  config: Config,
  { jobs, ...platform }: Pick<OnDatabase, 'keyring' | 'sql' | 'log' | 'clock'> & { jobs: Jobs },
): OnDatabase {
  const { sql, keyring, clock } = platform;
  const common = { ...platform, hints: noHints };
  const keys = new KeySet(sql, keyring);
  const revocations = new RevocationFeed({ ...config, ...common, database: sql, keys });
  const outbox = new Outbox(jobs, keyring);
  const database = new Database(sql, clock, { outbox, revocations });
  return { ...common, config, keys, revocations, database };
}

/** Prints the result of a command, as JSON or as text. */
export function printAnswer(io: Io, { json, text }: Answer, asJson: boolean): number {
  return print(io.out, asJson ? `${printableJson(json)}\n` : printable(text), EXIT.ok);
}

function exitCode({ kind, reason }: Failure): number {
  if (reason === 'SIGNING_KEY_TOO_NEW') return EXIT.tryAgain;
  if (kind === 'not_found') return EXIT.noInput;
  return kind === 'unavailable' || kind === 'exhausted' ? EXIT.unavailable : EXIT.failed;
}
