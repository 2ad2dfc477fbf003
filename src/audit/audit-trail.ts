import type { Keyring } from '../platform/crypto.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import {
  BrokenChain,
  CHAIN_COLUMNS,
  type ChainPlace,
  type ChainRow,
  NOT_OURS,
  readEnds,
} from './chain-ends.ts';
import { chainEvents } from './chain-events.ts';

const POLL_MS = 500;
/** Without a look for this long, this replica does not know what there is. */
const STALE_AFTER_MS = 10_000;

export type AuditTrailDeps = { database: SqlDatabase; keyring: Keyring; log: Log };

/**
 * The chain's ends, where it has any, and whether there are events to be put in it: the oldest of those,
 * which the planner finds by their index also where it knows nothing of the table.
 */
const LOOK = `
  select look.waiting, c.* from
    (select (select id from audit_events where position is null order by id limit 1) is not null
       as waiting) look
  left join (select ${CHAIN_COLUMNS} from audit_chain where id = 1) c on true`;

type Look = { waiting: boolean } & (ChainRow | { position: null });

/**
 * Puts events in the chain, beside the calls and together with the other replicas, and knows how far it
 * goes. It looks twice a second.
 */
export class AuditTrail {
  /** Called when the chain has grown. */
  readonly listeners = new Set<() => void>();
  readonly #deps: AuditTrailDeps;
  #head: ChainPlace | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #problem = '';

  constructor(deps: AuditTrailDeps) {
    this.#deps = deps;
  }

  /** The position of the newest event in the chain, as far as this replica has seen. */
  get headPosition(): number {
    return this.#head?.position ?? 0;
  }

  get isStale(): boolean {
    return performance.now() - this.#lookedAt > STALE_AFTER_MS;
  }

  /** Begins to look. What fails is done again at the next time. */
  start(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#tryToLook(), POLL_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking?.catch(() => {});
  }

  /** Puts what waits in the chain; several at once share one look. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #tryToLook(): Promise<void> {
    const { log } = this.#deps;
    try {
      await this.look();
      this.#problem = '';
    } catch (error) {
      const fields = { component: 'audit', ...errorFields(error) };
      // Said once, not twice a second.
      if (error instanceof BrokenChain && this.#problem !== error.message) {
        this.#problem = error.message;
        log.error({ component: 'audit', state: error.message }, 'audit chain is broken');
      } else log.debug(fields, 'audit events not chained');
    }
  }

  async #look(): Promise<void> {
    const { database, keyring } = this.#deps;
    if (await this.#see()) {
      while (await database.transaction((em) => chainEvents(em, keyring)));
      await this.#see();
    }
  }

  /** Notes how far the chain goes. Says whether there are events to be put in it. */
  async #see(): Promise<boolean> {
    const { database, keyring } = this.#deps;
    const [look] = await database.read((em) => query<Look>(em, LOOK));
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
      const fields = { component: 'audit', position: head.position };
      this.#deps.log.error(fields, 'audit chain was put back to an earlier state');
    }
    if (head.position !== known?.position) for (const listener of this.listeners) listener();
  }
}
