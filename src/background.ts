import { setTimeout as sleep } from 'node:timers/promises';
import { forgetDeletedRoles } from './access/forget-deleted-roles.ts';
import type { RoleBook } from './access/role-book.ts';
import { runErrand } from './accounts/run-errand.ts';
import { apiKeysIn } from './api-keys/api-key.repository.ts';
import type { ApiKeyMemory } from './api-keys/api-key-memory.ts';
import type { AuditQueue } from './audit/audit-queue.ts';
import type { AuditTrail } from './audit/audit-trail.ts';
import { maintainAuditTrail } from './audit/maintain-audit-trail.ts';
import type { Config } from './config.ts';
import { usedFlowsIn } from './federation/used-flow.repository.ts';
import { deliverMail, type MailTransport } from './mail/deliver.ts';
import { mailBudgetsIn } from './mail/mail-budget.repository.ts';
import { MAIL_QUEUE, type Outbox } from './mail/outbox.ts';
import { scopeUsesIn } from './mesh/scope-use.repository.ts';
import { shadowDenialsIn } from './mesh/shadow-denial.repository.ts';
import { usedWorkloadTokensIn } from './oauth/used-workload-token.repository.ts';
import { oneTimeTokensIn } from './one-time-tokens/one-time-token.repository.ts';
import { usedChallengesIn } from './passkeys/used-challenge.repository.ts';
import type { Breakers } from './platform/breakers.ts';
import { operator } from './platform/caller.ts';
import { addMs, type Clock } from './platform/clock.ts';
import type { Keyring } from './platform/crypto.ts';
import type { DatabaseClock } from './platform/database-clock.ts';
import { Failure } from './platform/failure.ts';
import type { Jobs } from './platform/jobs.ts';
import { errorFields, type Log } from './platform/log.ts';
import type { Check, Serves } from './platform/readiness.ts';
import type { RedisClient } from './platform/redis.ts';
import type { SqlDatabase } from './platform/sql-database.ts';
import type { Tracer } from './platform/tracer.ts';
import type { RevocationFeed } from './revocations/revocation-feed.ts';
import { migrate } from './schema.ts';
import { sessionsIn } from './sessions/session.repository.ts';
import type { KeySet } from './signing-keys/key-set.ts';
import { maintainSigningKeys } from './signing-keys/maintain-signing-keys.ts';
import { revokedSigningKeysIn } from './signing-keys/revoked-signing-key.repository.ts';
import type { Languages } from './texts/languages.ts';
import type { Database } from './unit-of-work/database.ts';
import { ERRAND_QUEUE, type Errands } from './unit-of-work/errands.ts';
import { bootstrapAdmin } from './users/create-admin.ts';
import type { FanOut } from './webhooks/fan-out.ts';
import { webhooksIn } from './webhooks/webhook.repository.ts';
import type { WebhookLanes } from './webhooks/webhook-lanes.ts';
import { webhookMessagesIn } from './webhooks/webhook-message.repository.ts';

const BRING_UP_RETRY_MS = 1000;
const MAINTENANCE_MS = 30_000;
/** Without a hint, a change of the keys is noticed after this long at most. */
const KEYS_MS = 5000;
const RETENTION_MS = 24 * 3600_000;
/** Nothing wakes the worker, so that the time at which it works reveals nothing about the call. */
/** The database is looked at seven times a second; after this long without an answer it counts as away. */
const CONTACT_MS = 2000;
const ERRAND_POLL_SECONDS = 0.5;
const KEY_RETENTION_MS = 30 * RETENTION_MS;

type Platform = {
  clock: Clock;
  databaseClock: DatabaseClock;
  log: Log;
  keyring: Keyring;
  sql: SqlDatabase;
  redis: RedisClient | undefined;
  breakers: Breakers;
  jobs: Jobs;
  tracer: Tracer;
};

type Nouns = {
  keys: KeySet;
  revocations: RevocationFeed;
  roles: RoleBook;
  apiKeyMemory: ApiKeyMemory;
  outbox: Outbox;
  errands: Errands;
  database: Database;
  auditQueue: AuditQueue;
  auditTrail: AuditTrail;
  fanOut: FanOut;
  webhookLanes: WebhookLanes;
  mail: MailTransport | undefined;
  languages: Languages;
};

/**
 * Everything a replica does besides answering calls: it starts up, keeps in step, and knows whether it
 * is ready.
 */
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
    parts: { config: Config; platform: Platform; nouns: Nouns; publicUrl: string },
    draining: AbortSignal,
  ) {
    this.#config = parts.config;
    this.#platform = parts.platform;
    this.#nouns = parts.nouns;
    this.#publicUrl = parts.publicUrl;
    this.#draining = draining;
  }

  /**
   * Prepares what the service needs before it can answer, and tries again until it succeeds: the
   * database may come up later than this replica, and its migrations later still.
   */
  async bringUp(): Promise<void> {
    const { sql, databaseClock, log, jobs } = this.#platform;
    const { revocations, apiKeyMemory, roles, mail } = this.#nouns;
    await this.#untilDone(async () => {
      if (sql.kind === 'embedded') await migrate(sql);
      // Before anything is recorded: from then on the looks for revocations keep it right.
      await databaseClock.ask(sql);
      await this.#maintainKeys();
      await revocations.start();
      await roles.start();
      this.#nouns.auditTrail.start();
      this.#nouns.fanOut.start();
      await apiKeyMemory.start();
      if (!this.#jobsStarted) await jobs.start();
      this.#jobsStarted = true;
      await this.#bootstrapAdmin();
    });
    if (this.#draining.aborted) return;
    await this.#runErrands();
    if (mail) await this.#deliver(mail);
    else log.warn({ component: 'mail' }, 'SMTP_URL is not set: mail waits in the outbox');
    if (this.#config.mailbox === 'anyone') {
      log.warn({ component: 'mail' }, 'anyone who reaches /dev/mailbox reads every mail');
    }
    this.every(MAINTENANCE_MS, 'signing keys', () => this.#maintainKeys());
    this.#nouns.keys.follow();
    this.every(KEYS_MS, 'signing keys', () => this.#nouns.keys.load());
    this.every(MAINTENANCE_MS, 'retention', () => this.#forgetExpired());
    const audit = { ...this.#config, ...this.#platform, database: this.#platform.sql };
    this.every(MAINTENANCE_MS, 'audit', () => maintainAuditTrail(audit, this.#draining));
    this.#nouns.webhookLanes.start(this.#draining);
    this.every(MAINTENANCE_MS, 'webhooks', async () => this.#nouns.fanOut.replay());
    this.#up = true;
  }

  /** Does work at an interval (ms). Work that fails is logged, and repeated at the next time. */
  every(ms: number, component: string, work: () => Promise<unknown>): void {
    const run = () =>
      work().catch((error) => {
        this.#platform.log.warn({ component, ...errorFields(error), stack: undefined }, 'not done');
      });
    this.#timers.add(setInterval(run, ms).unref());
  }

  /** The checks that readiness consists of. */
  checks(): Check[] {
    const { sql, redis, breakers } = this.#platform;
    const { keys, revocations, roles } = this.#nouns;
    const check = (without: Serves, name: string, look: Check['check']): Check => {
      return { name, without, check: look };
    };
    const says = (ok: boolean, problem: string) => Promise.resolve(ok ? undefined : problem);
    const others = [...breakers.states()].filter(([dependency]) => dependency !== 'redis');
    return [
      check('from memory', 'database', () => this.#reachDatabase()),
      check('nothing', 'migrations', () => pending(sql)),
      check('nothing', 'signing_key', () => says(keys.ready, 'none')),
      check('nothing', 'revocations', () => says(!revocations.isStale, 'not followed')),
      check('nothing', 'roles', () => says(!roles.isStale, 'not followed')),
      check('nothing', 'start', () => says(this.#up, 'under way')),
      check('nothing', 'shutdown', () => says(!this.#draining.aborted, 'under way')),
      ...(redis ? [check('everything', 'redis', () => answers(redis))] : []),
      ...others.map(([name, state]) =>
        check('everything', name, () => says(state === 'closed', 'left alone')),
      ),
    ];
  }

  /**
   * Once it is up, the replica looks at the database all the time. Asking it for each question about
   * health would keep those waiting who have a second for the answer.
   */
  async #reachDatabase(): Promise<string | undefined> {
    if (!this.#up) return this.#platform.sql.ping();
    return this.#nouns.revocations.lookedAgoMs > CONTACT_MS ? 'unavailable' : undefined;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#nouns.revocations.stop();
    this.#nouns.roles.stop();
    await this.#nouns.fanOut.stop();
    await this.#nouns.webhookLanes.stop();
    await this.#nouns.auditTrail.stop();
    this.#nouns.apiKeyMemory.stop();
    if (this.#jobsStarted) await this.#platform.jobs.stop();
  }

  /**
   * Deletes what has been over for a day; until then a late caller can still be told why it is refused.
   * Revocations are deleted as soon as no token can need them. Each batch is a separate statement.
   */
  async #forgetExpired(): Promise<void> {
    const { sql, clock } = this.#platform;
    const limit = addMs(clock.now(), -RETENTION_MS);
    const keyLimit = addMs(clock.now(), -KEY_RETENTION_MS);
    const batches = [
      () => this.#nouns.revocations.forgetExpired(),
      () => forgetDeletedRoles({ database: sql, clock, revocations: this.#nouns.revocations }),
      () => sql.read((em) => oneTimeTokensIn(em).forgetExpired(limit)),
      () => sql.read((em) => usedChallengesIn(em).forgetExpired(limit)),
      () => sql.read((em) => usedFlowsIn(em).forgetExpired(limit)),
      () => sql.read((em) => usedWorkloadTokensIn(em).forgetExpired(limit)),
      () => sql.read((em) => mailBudgetsIn(em).forgetUnspent(clock.now())),
      () => sql.read((em) => sessionsIn(em).forgetExpired(limit)),
      () => sql.read((em) => revokedSigningKeysIn(em).forgetOld(clock.now())),
      () => sql.read((em) => apiKeysIn(em).forgetOver(keyLimit)),
      () => sql.read((em) => scopeUsesIn(em).forgetRevoked()),
      () => sql.read((em) => scopeUsesIn(em).forgetOld(clock.now())),
      () => sql.read((em) => shadowDenialsIn(em).forgetOver(clock.now())),
      () => sql.read((em) => webhooksIn(em).forgetDeleted()),
      () => sql.read((em) => webhookMessagesIn(em).forgetOld(clock.now())),
    ];
    for (const forget of batches) while (!this.#draining.aborted && (await forget()));
  }

  /** The service starts even if the address can't become an administrator's. */
  async #bootstrapAdmin(): Promise<void> {
    const { bootstrapAdminEmail: email } = this.#config;
    if (email === undefined) return;
    const fields = { component: 'administrators' };
    try {
      const { keyring } = this.#platform;
      const needs = { database: this.#nouns.database, keyring };
      const created = await bootstrapAdmin(needs, operator(), email);
      if (created) this.#platform.log.info({ ...fields, subject: created.userId }, created.outcome);
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'precondition') throw error;
      this.#platform.log.error({ ...fields, reason: error.reason }, 'there is no administrator');
    }
  }

  async #maintainKeys(): Promise<void> {
    await maintainSigningKeys({
      ...this.#config,
      ...this.#platform,
      database: this.#platform.sql,
    });
    await this.#nouns.keys.load();
  }

  async #deliver(transport: MailTransport): Promise<void> {
    const deps = {
      outbox: this.#nouns.outbox,
      transport,
      tracer: this.#platform.tracer,
      from: this.#config.mailFrom,
      look: {
        publicUrl: this.#publicUrl,
        brand: this.#config.brand,
        languages: this.#nouns.languages,
      },
    };
    const { jobs, log } = this.#platform;
    // They wait up to half an hour, which is for servers that nobody knows to be back.
    transport.onBack?.(() => {
      jobs.hurry(MAIL_QUEUE).catch((error) => {
        log.warn(
          { component: 'mail', ...errorFields(error), stack: undefined },
          'mail still waits',
        );
      });
    });
    await jobs.work(MAIL_QUEUE, (body, id, signal) => deliverMail(deps, body, id, signal));
  }

  /** In order: of two sign-ups with one address, the later one counts. */
  async #runErrands(): Promise<void> {
    const { errands, database } = this.#nouns;
    const { keyring, jobs } = this.#platform;
    await jobs.work(
      ERRAND_QUEUE,
      (body, id, signal) => runErrand({ errands, database, keyring }, body, id, signal),
      { inOrder: true, pollSeconds: ERRAND_POLL_SECONDS },
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

async function answers(redis: RedisClient): Promise<string | undefined> {
  return (await redis.ping()) === 'PONG' ? undefined : 'unavailable';
}

async function pending(database: SqlDatabase): Promise<string | undefined> {
  const names = await database.pendingMigrations();
  return names.length > 0 ? `pending: ${names.join(', ')}` : undefined;
}
