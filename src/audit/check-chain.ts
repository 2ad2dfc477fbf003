import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type ChainEnds, type ChainPlace, currentEnds } from './chain-ends.ts';
import { type ChainFlaw, FlawFound } from './chain-flaw.ts';
import { firstUnexplained } from './check-erasures.ts';
import { eventHash, isSealed } from './event-hash.ts';
import { type StoredEvent, storedEvents } from './stored-event.ts';

const PAGE = 250;

/** Checks one event against the one before it, and returns its place. Throws `FlawFound`. */
export function checkEvent(keyring: Keyring, before: ChainPlace, event: StoredEvent): ChainPlace {
  const position = before.position + 1;
  if (event.position !== position) {
    const isExtra = event.position !== null && event.position < position;
    if (isExtra) throw new FlawFound({ kind: 'event_inserted', position: event.position ?? 0 });
    throw new FlawFound({ kind: 'event_missing', position });
  }
  const hash = eventHash(event, { position, previousHash: before.hash });
  if (hash !== event.hash || !isSealed(keyring, hash, event.seal)) {
    throw new FlawFound({ kind: 'event_changed', position });
  }
  return { position, hash };
}

/** Reads from the database, for one caller. */
export type Read = <T>(work: (em: EntityManager) => Promise<T>) => Promise<T>;

/** A walk along the chain from a place to its end, a page at a time. */
export class ChainCheck {
  readonly #read: Read;
  readonly #keyring: Keyring;
  readonly #ends: ChainEnds;
  #place: ChainPlace;
  /** The event at that place: an inserted event shares its position with another one. */
  #eventId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  #known: ChainPlace | undefined;
  #oldest: number;
  #checked = 0;

  constructor(read: Read, keyring: Keyring, ends: ChainEnds, start: ChainPlace) {
    this.#read = read;
    this.#keyring = keyring;
    this.#ends = ends;
    this.#place = start;
    this.#oldest = ends.head.position > ends.anchor.position ? ends.anchor.position + 1 : 0;
  }

  /** How many events have been found right so far. */
  get checked(): number {
    return this.#checked;
  }

  get place(): ChainPlace {
    return this.#place;
  }

  get headPosition(): number {
    return this.#ends.head.position;
  }

  get oldestPosition(): number {
    return this.#oldest;
  }

  /** Makes the walk check that the chain goes through a place. */
  expect(known: ChainPlace): void {
    this.#known = known;
  }

  /** Checks the next page. Returns whether there is more. Throws `FlawFound`. */
  async next(): Promise<boolean> {
    const { head } = this.#ends;
    if (this.#place.position >= head.position) return this.#end();
    const events = await this.#page();
    try {
      if (events.length === 0) throw missing(this.#place.position + 1);
      for (const event of events) this.#check(event);
      await this.#checkErasures(events);
    } catch (error) {
      if (!(error instanceof FlawFound) || !(await this.#hasBeenDeleted(error.flaw))) throw error;
    }
    return true;
  }

  async #page(): Promise<StoredEvent[]> {
    return this.#read((em) =>
      storedEvents(
        em,
        `from audit_events where (position, id) > ($1::bigint, $2::uuid) and position <= $3
         order by position, id limit ${PAGE}`,
        [this.#place.position, this.#eventId, this.#ends.head.position],
      ),
    );
  }

  #check(event: StoredEvent): void {
    this.#place = checkEvent(this.#keyring, this.#place, event);
    this.#eventId = event.id;
    this.#checked += 1;
    const { position, hash } = this.#place;
    if (position === this.#known?.position && hash !== this.#known.hash) {
      throw new FlawFound({ kind: 'known_head_missing', position });
    }
  }

  /** An erased part needs the deletion of its owner's account. */
  async #checkErasures(events: readonly StoredEvent[]): Promise<void> {
    const { position: anchor } = this.#ends.anchor;
    const found = await this.#read((em) => firstUnexplained(em, events, anchor));
    if (!found) return;
    const position = found.position ?? 0;
    // Retention may have deleted both in the meantime.
    const now = await this.#read((em) => currentEnds(em, this.#keyring));
    if (now && now.anchor.position >= position) return;
    throw new FlawFound({ kind: 'event_changed', position });
  }

  #end(): boolean {
    const { position, hash } = this.#ends.head;
    if (this.#place.hash !== hash) throw new FlawFound({ kind: 'event_changed', position });
    return false;
  }

  /** Retention may have deleted what is missing: then the walk continues after it. */
  async #hasBeenDeleted({ kind, position }: ChainFlaw): Promise<boolean> {
    if (kind !== 'event_missing') return false;
    const anchor = (await this.#read((em) => currentEnds(em, this.#keyring)))?.anchor;
    if (!anchor || anchor.position < position) return false;
    this.#place = anchor;
    this.#oldest = anchor.position + 1;
    return true;
  }
}

function missing(position: number): FlawFound {
  return new FlawFound({ kind: 'event_missing', position });
}
