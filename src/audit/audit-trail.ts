import { Counts } from '../platform/counts.ts';
import type { Keyring } from '../platform/crypto.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { NewsListeners } from '../platform/news.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { AuditChain } from './audit-chain.entity.ts';
import type { AuditFilters } from './audit-filters.ts';
import { BrokenChain, type ChainPlace, NOT_OURS, readEnds } from './chain-ends.ts';
import { chainEvents } from './chain-events.ts';
import { type ChainPage, placeOf, readChain } from './read-chain.ts';
import { type Stored, storedRows } from './stored-row.ts';

const POLL_MS = 500;
/** After this long without a look (ms), this replica no longer knows how far the chain goes. */
const STALE_AFTER_MS = 10_000;

export const CHAINED_LABELS = ['type', 'outcome'] as const;
export const LOCKOUT_LABELS = ['factor'] as const;

type Needs = { database: SqlDatabase; keyring: Keyring; log: Log };

/**
 * Reads the chain's ends, if it has any, and whether events wait to be chained. It looks for the oldest
 * of those: the planner finds that by an index even if it has no statistics of the table yet.
 */
const LOOK = `
  from
    (select (select id from audit_events where position is null order by id limit 1) is not null
       as waiting) look
  left join audit_chain on audit_chain.id = 1`;

type Look = { waiting: boolean } & (Stored<AuditChain> | { position: null });

/**
 * Chains audit events in the background, together with the other replicas, and knows how far the chain
 * goes. It looks at the database twice a second.
 */
export class AuditTrail {
  /** Readers of the chain, called when it has grown. */
  readonly listeners: NewsListeners = new Map();
  /** The same for parts of this replica. */
  readonly followers = new Set<() => void>();
  /** The events that this replica has chained: each is chained by one. */
  readonly chained = new Counts(...CHAINED_LABELS);
  readonly lockouts = new Counts(...LOCKOUT_LABELS);
  readonly #needs: Needs;
  #head: ChainPlace | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #problem = '';
  #wasPutBack = false;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** The position of the newest event in the chain, as far as this replica has seen. */
  get headPosition(): number {
    return this.#head?.position ?? 0;
  }

  /** Whether the chain was found changed by somebody else, now or since this replica started. */
  get isBroken(): boolean {
    return this.#wasPutBack || this.#problem !== '';
  }

  get isStale(): boolean {
    return performance.now() - this.#lookedAt > STALE_AFTER_MS;
  }

  /** Starts looking. A look that fails is repeated half a second later. */
  start(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#tryToLook(), POLL_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking?.catch(() => {});
  }

  /** The place that a reader's cursor leads to; undefined if it leads nowhere. */
  placeOf(cursor: string): Promise<ChainPlace | undefined> {
    const { database, keyring } = this.#needs;
    return database.read((em) => placeOf(em, keyring, cursor));
  }

  /** The next events after a place that match the filters, as far as this replica has seen. */
  pageAfter(after: ChainPlace, filters: AuditFilters): Promise<ChainPage> {
    const { database, keyring } = this.#needs;
    const range = { after, until: this.headPosition };
    return database.read((em) => readChain(em, keyring, range, filters));
  }

  /** Chains the events that wait. Several calls at once share one look. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #tryToLook(): Promise<void> {
    const { log } = this.#needs;
    try {
      await this.look();
      this.#problem = '';
    } catch (error) {
      const fields = { component: 'audit', ...errorFields(error) };
      // Logged once, not twice a second.
      if (error instanceof BrokenChain && this.#problem !== error.message) {
        this.#problem = error.message;
        log.error({ component: 'audit', state: error.message }, 'audit chain is broken');
      } else log.debug(fields, 'audit events not chained');
    }
  }

  async #look(): Promise<void> {
    if (await this.#see()) {
      while (await this.#chain());
      await this.#see();
    }
  }

  /** Chains some events. Returns whether there may be more. */
  async #chain(): Promise<boolean> {
    const { database, keyring } = this.#needs;
    const { events, mayBeMore } = await database.transaction((em) => chainEvents(em, keyring));
    for (const { type, outcome, details } of events) {
      this.chained.add(type, outcome);
      if (type === 'account.locked') this.lockouts.add(String(details['factor']));
    }
    return mayBeMore;
  }

  /** Notes how far the chain goes. Returns whether events wait to be chained. */
  async #see(): Promise<boolean> {
    const { database, keyring } = this.#needs;
    const [look]: Look[] = await database.read((em) =>
      storedRows<AuditChain, { waiting: boolean }>(em, AuditChain, LOOK, [], 'look.waiting'),
    );
    this.#lookedAt = performance.now();
    if (!look) return false;
    if (look.position !== null) {
      const ends = readEnds(keyring, look);
      if (!ends) throw new BrokenChain(NOT_OURS);
      this.#note(ends.head);
    }
    return look.waiting;
  }

  #note(head: ChainPlace): void {
    const known = this.#head;
    this.#head = head;
    const isBehind = known !== undefined && head.position < known.position;
    if (isBehind || (head.position === known?.position && head.hash !== known.hash)) {
      this.#wasPutBack = true;
      const fields = { component: 'audit', position: head.position };
      this.#needs.log.error(fields, 'audit chain was put back to an earlier state');
    }
    if (head.position === known?.position) return;
    for (const listener of [...this.followers, ...this.listeners.keys()]) listener();
  }
}
