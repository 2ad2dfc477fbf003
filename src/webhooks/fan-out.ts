import type { AuditTrail } from '../audit/audit-trail.ts';
import type { Clock } from '../platform/clock.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { handOn } from './hand-on.ts';
import { replayEvents } from './replay-events.ts';
import { webhookFanOutIn } from './webhook-fan-out.repository.ts';

/** How soon it looks again if another replica was at it, or something failed. */
const RETRY_MS = 500;

type Needs = { database: SqlDatabase; clock: Clock; log: Log; auditTrail: AuditTrail };

/**
 * Hands the events of the audit chain to webhooks, together with the other replicas. It does something
 * only when the chain has grown, or when events are to be sent again.
 */
export class FanOut {
  /** Called when this replica has made deliveries. They must not throw. */
  readonly listeners = new Set<() => void>();
  readonly #needs: Needs;
  #running: Promise<void> | undefined;
  #isAsked = false;
  #mayReplay = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  start(): void {
    this.#isStopped = false;
    this.#needs.auditTrail.followers.add(this.#wake);
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#needs.auditTrail.followers.delete(this.#wake);
    clearTimeout(this.#timer);
    await this.#running;
  }

  /**
   * Makes it look for events that are to be sent again. A call that asks for that leaves an event, which
   * says so too: this is for what a replica that has died has left.
   */
  readonly replay = (): void => {
    this.#mayReplay = true;
    this.#wake();
  };

  /** Tells this replica's listeners of deliveries that a call has made. */
  readonly told = (): void => {
    for (const listener of this.listeners) listener();
  };

  readonly #wake = (): void => {
    this.#isAsked = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isAsked && !this.#isStopped) this.#wake();
    });
  };

  async #run(): Promise<void> {
    this.#isAsked = false;
    try {
      await this.#handOn();
      if (this.#mayReplay) await this.#replay();
    } catch (error) {
      this.#needs.log.debug({ component: 'webhooks', ...errorFields(error) }, 'events wait');
      this.#mayReplay = true;
      this.#wakeLater();
    }
  }

  async #handOn(): Promise<void> {
    const { database, clock, auditTrail } = this.#needs;
    const until = auditTrail.headPosition;
    // Most replicas find it done by another one, and don't open a transaction.
    let position = await database.read((em) => webhookFanOutIn(em).position());
    while (position < until && !this.#isStopped) {
      const handed = await database.transaction((em) => handOn(em, until, clock.now()));
      // The other replica may die at it.
      if (!handed) return this.#wakeLater();
      position = handed.position;
      if (handed.isTold) this.told();
      this.#mayReplay ||= handed.mayReplay;
    }
  }

  async #replay(): Promise<void> {
    const { database, clock } = this.#needs;
    const next = () => database.transaction((em) => replayEvents(em, clock.now()));
    this.#mayReplay = false;
    while (!this.#isStopped && (await next())) this.told();
  }

  #wakeLater(): void {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#timer = setTimeout(this.#wake, RETRY_MS).unref();
  }
}
