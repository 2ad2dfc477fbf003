import { type App, startApp } from '../../src/app.ts';
import type { Overrides } from '../../src/build/overrides.ts';
import { type Environment, readConfig } from '../../src/config.ts';
import { PasswordStrength } from '../../src/passwords/password-strength.ts';
import { atEnd } from './at-end.ts';
import { type Clients, clients } from './clients.ts';
import { createDatabase } from './database.ts';
import { logDestination, noteSecret } from './logs.ts';
import { MailServer } from './mail-server.ts';
import { MASTER_KEY, REDIS_URL } from './prepared.ts';
import { TestClock } from './test-clock.ts';

/** For tests of what races decide: a busy machine is not what they are about. */
export const PATIENT = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '10s',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '10s',
};
/** The limits that operators get by default. */
export const DEFAULT_LIMITS = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '500ms',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '800ms',
};

/** Of all services of this process: its thread takes a third of a second to load its dictionaries. */
const strength = new PasswordStrength();

export type Service = Clients & {
  app: App;
  clock: TestClock;
  mail: MailServer;
  databaseUrl: string;
  /** What it was configured with. */
  env: Environment;
};

export type StartOptions = {
  env?: Environment;
  databaseUrl?: string;
  mail?: MailServer;
  clock?: TestClock;
  /** False for a service that will not become ready. */
  waitUntilReady?: boolean;
} & Pick<Overrides, 'services' | 'limits' | 'machineClock'>;

/**
 * Starts the real service in this process, on free ports and by default on its own database, and stops
 * it when the test file ends. Give two of them one `databaseUrl` to have two replicas.
 */
export async function startService(options: StartOptions = {}): Promise<Service> {
  const clock = options.clock ?? new TestClock();
  const mail = options.mail ?? (await startMail());
  const isEmbedded = options.env?.['DATABASE_URL'] === '';
  const databaseUrl = options.databaseUrl ?? (isEmbedded ? '' : await createDatabase());
  const env = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: REDIS_URL,
    SMTP_URL: await mailUrl(mail),
    COUNTERSIGN_MASTER_KEY: MASTER_KEY,
    COUNTERSIGN_GRPC_ADDR: '127.0.0.1:0',
    COUNTERSIGN_HTTP_ADDR: '127.0.0.1:0',
    COUNTERSIGN_ISSUER: 'https://issuer.test',
    COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
    COUNTERSIGN_RATE_LIMITS: 'off',
    COUNTERSIGN_SHUTDOWN_GRACE: '2s',
    // A loaded machine is no failure of the database; tests of such failures set the real limits.
    ...PATIENT,
    COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
    COUNTERSIGN_ARGON2_TIME_COST: '1',
    ...options.env,
  };
  noteSecret(MASTER_KEY);
  const app = await startApp(
    readConfig(env, () => ''),
    {
      // One whose machine has a clock of its own goes by the database's, which no test sets.
      ...(options.machineClock ? { machineClock: options.machineClock } : { clock }),
      logDestination,
      strength,
      ...(options.services ? { services: options.services } : {}),
      ...(options.limits ? { limits: options.limits } : {}),
    },
  );
  let stopped: Promise<void> | undefined;
  const stop = app.stop.bind(app);
  app.stop = () => (stopped ??= stop());
  atEnd(() => app.stop());
  if (options.waitUntilReady !== false) await app.ready;
  return { app, clock, mail, databaseUrl, env, ...clients(app) };
}

const mailUrls = new WeakMap<MailServer, Promise<string>>();

async function startMail(): Promise<MailServer> {
  const mail = new MailServer();
  atEnd(() => mail.close());
  return mail;
}

function mailUrl(mail: MailServer): Promise<string> {
  const url = mailUrls.get(mail) ?? mail.listen();
  mailUrls.set(mail, url);
  return url;
}

/** Another replica of a service: on the same database, with the same settings and these. */
export function startReplica(service: Service, options: StartOptions = {}): Promise<Service> {
  const { databaseUrl, mail, clock } = service;
  return startService({
    databaseUrl,
    mail,
    clock,
    ...options,
    env: { ...service.env, ...options.env },
  });
}
