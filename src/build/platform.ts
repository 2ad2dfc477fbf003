import type { Config } from '../config.ts';
import { Breakers } from '../platform/breakers.ts';
import { Certificates } from '../platform/certificates.ts';
import { systemClock } from '../platform/clock.ts';
import { Keyring } from '../platform/crypto.ts';
import { DatabaseClock } from '../platform/database-clock.ts';
import { Jobs } from '../platform/jobs.ts';
import { createLog } from '../platform/log.ts';
import { masterKeyIn } from '../platform/master-key.ts';
import { Metrics } from '../platform/metrics.ts';
import { connectRedis } from '../platform/redis.ts';
import { noHints, redisHints } from '../platform/redis-hints.ts';
import { startTracer } from '../platform/start-tracer.ts';
import { openDatabase } from '../schema.ts';
import type { Overrides } from './overrides.ts';

export type Platform = Awaited<ReturnType<typeof buildPlatform>>;

export async function buildPlatform(config: Config, overrides: Overrides) {
  const databaseClock = new DatabaseClock(overrides.machineClock ?? systemClock);
  const clock = overrides.clock ?? databaseClock;
  const log = createLog(config.logLevel, overrides.logDestination);
  const certificates = config.tls ? await Certificates.open(config.tls, log) : undefined;
  const keyring = new Keyring(config.masterKeys ?? (await masterKeyIn(config.dataDir)));
  const tracer = await startTracer(config.tracing, log);
  const sql = await openDatabase(config, log, { tracer });
  const breakers = new Breakers(log);
  const { redisUrl } = config;
  const redis = redisUrl === undefined ? undefined : connectRedis(redisUrl, log, breakers);
  const hints = redis && redisUrl ? redisHints(redis, redisUrl, log) : noHints;
  const jobs = new Jobs(sql, log);
  const metrics = new Metrics();
  const platform = { clock, databaseClock, log, tracer, metrics, breakers, certificates, keyring };
  return { ...platform, sql, redis, hints, jobs };
}

export async function closePlatform({
  certificates,
  hints,
  redis,
  sql,
  tracer,
}: Platform): Promise<void> {
  certificates?.close();
  hints.close();
  redis?.disconnect();
  await sql.close();
  await tracer.close();
}
