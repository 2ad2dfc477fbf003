import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { operator } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { Counts } from '../platform/counts.ts';
import type { Keyring } from '../platform/crypto.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { Places } from '../platform/places.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { Tracer } from '../platform/tracer.ts';
import type { Database } from '../unit-of-work/database.ts';
import { disableWebhook } from './disable-webhook.ts';
import { type LaneNeeds, WebhookLane } from './webhook-lane.ts';
import { LEASE_MS, webhookLeasesIn } from './webhook-lease.repository.ts';
import type { WebhookTargets } from './webhook-targets.ts';

const LOOK_MS = 1000;
const RENEW_MS = LEASE_MS / 3;
/** How many targets are sent to at a time. Those that leave everything unanswered are counted apart. */
const LANES = 50;
const SLOW_LANES = 150;
/** How many lanes at a time make room for other webhooks. */
const MAKING_ROOM = 10;
/** Lanes leave the rest of the connections to calls. */
const STATEMENTS = 2;
const STOP_MS = 5000;

export const ATTEMPT_LABELS = ['outcome', 'reason'] as const;

/**
 * Delivers what is due, together with the other replicas: each webhook is sent to by one replica at a
 * time, in a lane of its own, so that no target waits for another (E03).
 */
export class WebhookLanes {
  /** What attempts of this replica came to. */
  readonly attempts = new Counts(...ATTEMPT_LABELS);
  readonly #replica = uuidv7();
  readonly #needs: LaneNeeds;
  readonly #lanes = new Map<string, WebhookLane>();
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #isWoken = false;
  #isStopping = false;
  #renewedAt = 0;

  constructor(needs: {
    sql: SqlDatabase;
    database: Database;
    clock: Clock;
    log: Log;
    tracer: Tracer;
    keyring: Keyring;
    webhookTargets: WebhookTargets;
  }) {
    const { sql, database } = needs;
    this.#needs = {
      ...needs,
      database: sql,
      places: new Places(STATEMENTS),
      attempts: this.attempts,
      disable: (target, reason) =>
        database.transaction(operator(), (tx) => disableWebhook(tx, target, reason)),
    };
  }

  /** Starts looking for what is due. Once `draining` fires, nothing more is begun. */
  start(draining: AbortSignal): void {
    this.#timer = setInterval(this.wake, LOOK_MS).unref();
    draining.addEventListener('abort', () => this.#close(), { once: true });
    if (draining.aborted) this.#close();
  }

  /** Looks now: there are new deliveries. */
  readonly wake = (): void => {
    for (const lane of this.#lanes.values()) lane.nudge();
    this.#lookSoon();
  };

  #lookSoon(): void {
    this.#isWoken = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  /** Lets attempts finish for some seconds, and calls the others back. */
  async stop(): Promise<void> {
    this.#close();
    await this.#looking;
    const end = new AbortController();
    const options = { signal: end.signal };
    const late = sleep(STOP_MS, undefined, options).catch(() => {});
    await Promise.race([Promise.all(this.#running), late]);
    end.abort();
    for (const lane of this.#lanes.values()) lane.callBack();
    await Promise.all(this.#running);
  }

  #close(): void {
    this.#isStopping = true;
    clearInterval(this.#timer);
    for (const lane of this.#lanes.values()) lane.close();
  }

  async #look(): Promise<void> {
    try {
      while (this.#isWoken && !this.#isStopping) {
        this.#isWoken = false;
        await this.#renew();
        await this.#take();
      }
    } catch (error) {
      this.#needs.log.debug({ component: 'webhooks', ...errorFields(error) }, 'webhooks wait');
    }
  }

  async #take(): Promise<void> {
    const { database, places, clock } = this.#needs;
    const lanes = [...this.#lanes.values()];
    const slow = lanes.filter(({ isSlow }) => isSlow).length;
    const free = Math.max(LANES - (lanes.length - Math.min(slow, SLOW_LANES)), 0);
    const long = free > 0 ? [] : lanesToClose(lanes);
    const most = free + long.length;
    if (most === 0) return;
    const which = { except: [...this.#lanes.keys()], most };
    const leasedAt = performance.now();
    const take = () =>
      database.read((em) => webhookLeasesIn(em).take(this.#replica, which, clock.now()));
    const ids = await places.run(take);
    for (const id of ids) this.#open(id, leasedAt);
    for (const lane of long.slice(0, ids.length)) lane.close();
  }

  #open(id: string, leasedAt: number): void {
    const lane = new WebhookLane(this.#needs, { replica: this.#replica, id }, leasedAt);
    if (this.#isStopping) lane.close();
    this.#lanes.set(id, lane);
    const running = lane.run().finally(() => {
      this.#lanes.delete(id);
      this.#running.delete(running);
      // Others may have waited for its place, and something may have become due meanwhile.
      if (!this.#isStopping) this.#lookSoon();
    });
    this.#running.add(running);
  }

  /** Extends the leases before they end, and closes the lanes that have lost theirs. */
  async #renew(): Promise<void> {
    const { database, places } = this.#needs;
    const leasedAt = performance.now();
    if (leasedAt - this.#renewedAt < RENEW_MS || this.#lanes.size === 0) return;
    const ids = [...this.#lanes.keys()];
    const renew = () => database.read((em) => webhookLeasesIn(em).renew(this.#replica, ids));
    const kept = new Set(await places.run(renew));
    this.#renewedAt = leasedAt;
    for (const id of ids) {
      const lane = this.#lanes.get(id);
      if (kept.has(id)) lane?.renewed(leasedAt);
      else lane?.close();
    }
  }
}

/** The lanes that may make room: those that have been served for long, the first ones first. */
function lanesToClose(lanes: readonly WebhookLane[]): WebhookLane[] {
  const closing = lanes.filter(({ isClosing }) => isClosing).length;
  const long = lanes.filter(({ isServedLong }) => isServedLong);
  return long.slice(0, Math.max(MAKING_ROOM - closing, 0));
}
