import { type Config, readConfig } from '../config.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { createLog, type Log } from '../platform/log.ts';
import { masterKeyIn } from '../platform/master-key.ts';
import { type Hints, noHints } from '../platform/redis-hints.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { openDatabase } from '../schema.ts';
import { EXIT, type Io, print } from './io.ts';

/** What a command gives, for scripts and for people. */
export type Answer = { json: unknown; text: string };

export type OnDatabase = {
  config: Config;
  database: SqlDatabase;
  keyring: Keyring;
  clock: Clock;
  log: Log;
  /** None: replicas look at the tables several times a second, and workers at their queues. */
  hints: Hints;
};

/** Nobody waits for a command as for a call. */
const LIMITS = { statementTimeoutMs: 30_000, acquireTimeoutMs: 10_000 };

/**
 * Has a command work on the database that the service uses, without asking the service, which may be
 * down. Gives the exit code: that of `work`, or that of the failure it ended with.
 */
export async function onDatabase(
  io: Io,
  work: (deps: OnDatabase) => Promise<number>,
): Promise<number> {
  const given = readConfig(io.env, io.readFile);
  const config = { ...given, database: { ...given.database, ...LIMITS } };
  const log = createLog('silent');
  const database = await openDatabase(config, log);
  try {
    if ((await database.pendingMigrations()).length > 0) {
      const text = 'the schema is not up to date: run `countersign migrate`\n';
      return print(io.err, text, EXIT.failed);
    }
    const keyring = new Keyring(config.masterKeys ?? masterKeyIn(config.dataDir));
    return await work({ config, database, keyring, clock: systemClock, log, hints: noHints });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return print(io.err, `${error.message}\n`, exitCode(error));
  } finally {
    await database.close();
  }
}

/** Prints what a command gives, in the form that it was asked for in. */
export function printAnswer(io: Io, { json, text }: Answer, asJson: boolean): number {
  return print(io.out, asJson ? `${JSON.stringify(json)}\n` : text, EXIT.ok);
}

function exitCode({ kind, reason }: Failure): number {
  if (reason === 'SIGNING_KEY_TOO_NEW') return EXIT.tryAgain;
  if (kind === 'not_found') return EXIT.noInput;
  return kind === 'unavailable' || kind === 'exhausted' ? EXIT.unavailable : EXIT.failed;
}
