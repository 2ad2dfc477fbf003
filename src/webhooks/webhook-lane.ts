import { setTimeout as sleep } from 'node:timers/promises';
import { addMs, type Clock } from '../platform/clock.ts';
import type { Counts } from '../platform/counts.ts';
import type { Keyring } from '../platform/crypto.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { Places } from '../platform/places.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { Tracer } from '../platform/tracer.ts';
import { AttemptNotes } from './attempt-notes.ts';
import { type DueDelivery, dueDeliveriesIn, type NotedAttempt } from './due-delivery.repository.ts';
import { type Judgement, judgeAttempt } from './judge-attempt.ts';
import type { sendWebhook } from './send-webhook.ts';
import { TargetPace } from './target-pace.ts';
import { tracedAttempt } from './traced-attempt.ts';
import { LEASE_MS, webhookLeasesIn } from './webhook-lease.repository.ts';
import { signingSecrets } from './webhook-secret.ts';
import type { WebhookTargets } from './webhook-targets.ts';

const BATCH = 32;
/** For how long what has been read of a webhook holds: its address or its state may change. */
const FRESH_MS = 2000;
/** A lane whose target answers nothing for this long does not keep others waiting. */
const SLOW_MS = 1000;
/** After which a lane makes room for others, if there are more than can be served at a time. */
const TURN_MS = 5000;
/** An attempt, and the time to write it down. */
const ATTEMPT_MS = 20_000;
/** After an error of our own, which the next attempt would meet too. */
const TROUBLED_MS = 60_000;

export type LaneNeeds = {
  database: SqlDatabase;
  clock: Clock;
  log: Log;
  tracer: Tracer;
  keyring: Keyring;
  webhookTargets: WebhookTargets;
  /** How many statements of lanes run at a time. */
  places: Places;
  /** Counts attempts by their outcome and what went wrong. */
  attempts: Counts;
  /** Disables a webhook that still has this URL. */
  disable(target: { id: string; url: string }, reason: 'gone' | 'failing'): Promise<void>;
};

/**
 * What goes to one webhook, as long as this replica has its lease, something is due, and the webhook has
 * the same URL: what a target does is not held against another.
 */
export class WebhookLane {
  readonly id: string;
  readonly #replica: string;
  readonly #needs: LaneNeeds;
  readonly #pace = new TargetPace();
  readonly #notes: AttemptNotes;
  readonly #calledBack = new AbortController();
  /** On their way, or not written down yet. */
  readonly #busy = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  #news = Promise.withResolvers<void>();
  #leasedUntil: number;
  #url = '';
  #isClosed = false;
  #failingSince: Date | null = null;
  #pauseUntil: Date | null = null;
  #waitingSince = performance.now();
  readonly #openedAt = this.#waitingSince;

  /** `leasedAt` is when the lease was asked for, by `performance.now()`. */
  constructor(
    needs: LaneNeeds,
    { replica, id }: { replica: string; id: string },
    leasedAt: number,
  ) {
    this.#needs = needs;
    this.#replica = replica;
    this.id = id;
    this.#leasedUntil = leasedAt + LEASE_MS;
    this.#notes = new AttemptNotes(
      (attempts) => this.#note(attempts),
      () => performance.now() < this.#leasedUntil && !this.#calledBack.signal.aborted,
    );
  }

  /** Whether the target has left everything unanswered for a while. */
  get isSlow(): boolean {
    return performance.now() - this.#waitingSince > SLOW_MS;
  }

  /** Whether it starts nothing more. */
  get isClosing(): boolean {
    return this.#isClosed;
  }

  /** Whether it has had its turn, and may make room for another webhook. */
  get isServedLong(): boolean {
    return !this.#isClosed && performance.now() - this.#openedAt > TURN_MS;
  }

  /** Lets it look for more while attempts are on their way. */
  nudge(): void {
    if (this.#pace.answers) this.#news.resolve();
  }

  renewed(leasedAt: number): void {
    this.#leasedUntil = leasedAt + LEASE_MS;
  }

  /** Starts nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Calls back what is on its way: those attempts have not been made. */
  callBack(): void {
    this.close();
    this.#calledBack.abort(new Error('the replica stops'));
  }

  /** Sends what is due, and gives the lease back. Throws nothing. */
  async run(): Promise<void> {
    try {
      while (this.#mayStart && (await this.#serve()));
    } catch (error) {
      this.#trouble('nothing sent', error);
    }
    await Promise.all(this.#underWay);
    await this.#notes.flush();
    await this.#tried('lease not given back', (em) =>
      webhookLeasesIn(em).release(this.#replica, this.#target, this.#pauseUntil),
    );
  }

  get #target(): { id: string; url: string } {
    return { id: this.id, url: this.#url };
  }

  get #mayStart(): boolean {
    return !this.#isClosed && performance.now() + ATTEMPT_MS < this.#leasedUntil;
  }

  /** Sends a batch of what is due. Returns whether there may be more. */
  async #serve(): Promise<boolean> {
    await this.#notes.flush();
    const now = this.#needs.clock.now();
    const freshUntil = performance.now() + FRESH_MS;
    const which = { except: [...this.#busy], most: BATCH };
    const found = await this.#tried('nothing sent', (em) =>
      dueDeliveriesIn(em).due(this.#replica, this.id, which, now),
    );
    if (!found) return false;
    const { target, deliveries } = found;
    if (!target) return this.#waitOrHurry(now);
    this.#url ||= target.url;
    if (this.#url !== target.url) return false;
    // What this lane has seen itself may not be written down yet.
    if (!this.#pace.answers) this.#failingSince ??= target.failingSince;
    const secrets = signingSecrets(this.#needs.keyring, target, now);
    for (const delivery of deliveries) {
      await this.#turn();
      if (!this.#mayStart) return false;
      if (performance.now() > freshUntil) return true;
      this.#start(delivery, { url: target.url, secrets });
    }
    if (deliveries.length < BATCH) await this.#change();
    return true;
  }

  /** Nothing is due: what is on its way may change that, and a target that is back gets more. */
  async #waitOrHurry(now: Date): Promise<boolean> {
    if (this.#underWay.size > 0) {
      await this.#change();
      return true;
    }
    if (!this.#pace.catchesUp) return false;
    const hurry = (em: EntityManager) => dueDeliveriesIn(em).hurry(this.id, now);
    return (await this.#tried('nothing hurried', hurry)) ?? false;
  }

  /** Waits until an attempt has ended, or there may be something new. */
  async #change(): Promise<void> {
    await Promise.race([...this.#underWay, this.#news.promise]);
    this.#news = Promise.withResolvers();
  }

  /** Waits until one more may be on its way. */
  async #turn(): Promise<void> {
    while (this.#underWay.size >= this.#pace.atOnce) await Promise.race(this.#underWay);
    const waitMs = this.#pace.waitMs();
    if (waitMs > 0) await sleep(waitMs);
    this.#pace.started();
  }

  #start(delivery: DueDelivery, { url, secrets }: { url: string; secrets: readonly Buffer[] }) {
    const { messageId, payload } = delivery;
    if (this.#underWay.size === 0) this.#waitingSince = performance.now();
    this.#busy.add(messageId);
    const message = { url, messageId, body: payload, secrets };
    const sending = this.#send(delivery, message).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  async #send(delivery: DueDelivery, message: Parameters<typeof sendWebhook>[1]): Promise<void> {
    const { clock } = this.#needs;
    const startedAt = clock.now();
    try {
      const attempt = await tracedAttempt(this.#needs, message, startedAt, this.#calledBack.signal);
      const { failure } = attempt;
      this.#needs.attempts.add(failure === undefined ? 'succeeded' : 'failed', failure ?? '');
      const when = { failingSince: this.#failingSince, startedAt, now: clock.now() };
      await this.#judged(judgeAttempt(delivery, attempt, when, Math.random()));
    } catch (error) {
      this.#busy.delete(message.messageId);
      if (!this.#calledBack.signal.aborted) this.#trouble('attempt not made', error);
    }
  }

  async #judged({ noted, failingSince, pauseUntil, disable }: Judgement): Promise<void> {
    this.#waitingSince = performance.now();
    this.#notes.add(noted);
    if (noted.state === 'succeeded') {
      const failedFor = this.#failingSince ? +this.#needs.clock.now() - +this.#failingSince : 0;
      this.#pace.taken(failedFor);
    }
    if (+(failingSince ?? 0) !== +(this.#failingSince ?? 0)) {
      this.#failingSince = failingSince;
      await this.#tried('not noted', (em) =>
        webhookLeasesIn(em).noteFailing(this.#replica, this.#target, failingSince),
      );
    }
    if (pauseUntil) this.#pauseUntil = pauseUntil;
    if (pauseUntil || disable) this.close();
    if (disable) {
      await this.#needs
        .disable(this.#target, disable)
        .catch((error) => this.#log('not disabled', error));
    }
  }

  async #note(attempts: readonly NotedAttempt[]): Promise<boolean> {
    const write = (em: EntityManager) => dueDeliveriesIn(em).note(this.#replica, this.id, attempts);
    const isWritten = (await this.#tried('attempts not noted', write)) ?? false;
    if (isWritten) for (const { messageId } of attempts) this.#busy.delete(messageId);
    return isWritten;
  }

  /** Runs a statement in its turn. Returns undefined if it failed. */
  async #tried<T>(
    failure: string,
    work: (em: EntityManager) => Promise<T>,
  ): Promise<T | undefined> {
    const { database, places } = this.#needs;
    try {
      return await places.run(() => database.read(work));
    } catch (error) {
      this.#log(failure, error);
      return undefined;
    }
  }

  /** An error that is not the target's. */
  #trouble(message: string, error: unknown): void {
    this.#needs.log.warn({ component: 'webhooks', ...errorFields(error) }, message);
    this.#pauseUntil = addMs(this.#needs.clock.now(), TROUBLED_MS);
    this.close();
  }

  #log(message: string, error: unknown): void {
    this.#needs.log.debug({ component: 'webhooks', ...errorFields(error) }, message);
  }
}
