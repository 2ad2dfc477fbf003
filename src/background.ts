import { setTimeout as sleep } from 'node:timers/promises';
import { OneTimeToken } from './accounts/one-time-token.entity.ts';
import type { AuditQueue } from './audit/audit-queue.ts';
import type { Config } from './config.ts';
import { deliverMail, type MailTransport } from './mail/deliver.ts';
import { MAIL_QUEUE, type Outbox } from './mail/outbox.ts';
import { UsedChallenge } from './passkeys/used-challenge.entity.ts';
import { addMs, type Clock } from './platform/clock.ts';
import type { Keyring } from './platform/crypto.ts';
import type { Database } from './platform/database.ts';
import type { Jobs } from './platform/jobs.ts';
import { errorFields, type Log } from './platform/log.ts';
import type { Check } from './platform/readiness.ts';
import type { RedisClient } from './platform/redis.ts';
import { migrate } from './schema.ts';
import type { RevocationFeed } from './sessions/revocation-feed.ts';
import { Session } from './sessions/session.entity.ts';
import type { KeySet } from './signing-keys/key-set.ts';
import { maintainSigningKeys } from './signing-keys/maintain-signing-keys.ts';

const BRING_UP_RETRY_MS = 1000;
const MAINTENANCE_MS = 30_000;
const RETENTION_MS = 24 * 3600_000;

type Platform = {
  clock: Clock;
  log: Log;
  keyring: Keyring;
  database: Database;
  redis: RedisClient | undefined;
  jobs: Jobs;
};

type Nouns = {
  keys: KeySet;
  revocations: RevocationFeed;
  outbox: Outbox;
  auditQueue: AuditQueue;
  mail: MailTransport | undefined;
};

/** What a replica does beside answering calls: coming up, keeping up, and saying whether it is up. */
export class Background {
  readonly #config: Config;
  readonly #platform: Platform;
  readonly #nouns: Nouns;
  readonly #publicUrl: string;
  readonly #draining: AbortSignal;
  readonly #timers = new Set<NodeJS.Timeout>();
  #jobsStarted = false;
  #up = false;

  constructor(
    config: Config,
    platform: Platform,
    nouns: Nouns,
    publicUrl: string,
    draining: AbortSignal,
  ) {
    this.#config = config;
    this.#platform = platform;
    this.#nouns = nouns;
    this.#publicUrl = publicUrl;
    this.#draining = draining;
  }

  /**
   * Gets what the service needs before it can answer, and tries again until it has it: the database
   * may come up after us, and its migrations after that.
   */
  async bringUp(): Promise<void> {
    const { database, log, jobs } = this.#platform;
    const { revocations, mail } = this.#nouns;
    await this.#untilDone(async () => {
      if (database.kind === 'embedded') await migrate(database);
      await this.#maintainKeys();
      await revocations.start();
      if (!this.#jobsStarted) await jobs.start();
      this.#jobsStarted = true;
    });
    if (this.#draining.aborted) return;
    if (mail) await this.#deliver(mail);
    else log.warn({ component: 'mail' }, 'SMTP_URL is not set: mail waits in the outbox');
    this.every(MAINTENANCE_MS, 'signing keys', () => this.#maintainKeys());
    this.every(MAINTENANCE_MS, 'retention', () => this.#forgetExpired());
    this.#up = true;
  }

  /** Does something again and again. What fails is logged and done again at the next time. */
  every(ms: number, component: string, work: () => Promise<unknown>): void {
    const run = () =>
      work().catch((error) => {
        this.#platform.log.warn({ component, ...errorFields(error), stack: undefined }, 'not done');
      });
    this.#timers.add(setInterval(run, ms).unref());
  }

  /** What readiness looks at. */
  checks(): Check[] {
    const { database, redis } = this.#platform;
    const { keys, revocations } = this.#nouns;
    const says = (ok: boolean, problem: string) => Promise.resolve(ok ? undefined : problem);
    const checks: Check[] = [
      { name: 'database', required: true, check: () => database.ping() },
      { name: 'migrations', required: true, check: () => pending(database) },
      { name: 'signing_key', required: true, check: () => says(keys.ready, 'none') },
      {
        name: 'revocations',
        required: true,
        check: () => says(!revocations.isStale, 'not followed'),
      },
      { name: 'start', required: true, check: () => says(this.#up, 'under way') },
      {
        name: 'shutdown',
        required: true,
        check: () => says(!this.#draining.aborted, 'under way'),
      },
    ];
    if (redis) {
      checks.push({
        name: 'redis',
        required: false,
        check: async () => ((await redis.ping()) === 'PONG' ? undefined : 'unavailable'),
      });
    }
    return checks;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#nouns.revocations.stop();
    if (this.#jobsStarted) await this.#platform.jobs.stop();
  }

  /**
   * Deletes revocations that are of no use any more, and what has been over for a day: until then a
   * late answer can say why it is refused. In batches, each a statement of its own.
   */
  async #forgetExpired(): Promise<void> {
    const { database, clock } = this.#platform;
    const limit = addMs(clock.now(), -RETENTION_MS);
    const batches = [
      () => this.#nouns.revocations.forgetExpired(),
      () => database.read((em) => em.getRepository(OneTimeToken).forgetExpired(limit)),
      () => database.read((em) => em.getRepository(UsedChallenge).forgetExpired(limit)),
      () => database.read((em) => em.getRepository(Session).forgetExpired(limit)),
    ];
    for (const forget of batches) while (!this.#draining.aborted && (await forget()));
  }

  async #maintainKeys(): Promise<void> {
    await maintainSigningKeys({ ...this.#config, ...this.#platform });
    await this.#nouns.keys.load();
  }

  async #deliver(transport: MailTransport): Promise<void> {
    const deps = {
      outbox: this.#nouns.outbox,
      transport,
      from: this.#config.mailFrom,
      publicUrl: this.#publicUrl,
    };
    await this.#platform.jobs.work(MAIL_QUEUE, (body, id, signal) =>
      deliverMail(deps, body, id, signal),
    );
  }

  async #untilDone(work: () => Promise<void>): Promise<void> {
    while (!this.#draining.aborted) {
      try {
        await work();
        return;
      } catch (error) {
        const fields = { component: 'start', ...errorFields(error) };
        this.#platform.log.warn(fields, 'not ready yet');
        await sleep(BRING_UP_RETRY_MS, undefined, { signal: this.#draining }).catch(() => {});
      }
    }
  }
}

async function pending(database: Database): Promise<string | undefined> {
  const names = await database.pendingMigrations();
  return names.length > 0 ? `pending: ${names.join(', ')}` : undefined;
}
