import type { Overdue, Place } from './overdue.ts';

/** A connection is closed if more of its streams than this are refused within this time. */
const MAX_REFUSALS = 100;
const REFUSALS_MS = 10_000;
/** What a connection costs besides its streams. Measured. It counts while one of them does. */
const CONNECTION_BYTES = 24 * 1024;
/** How many streams a connection may open in one turn of the event loop before its reading pauses. */
const STREAMS_PER_TURN = 250;

/** What can be done to a connection. */
export type Reins = {
  close: () => void;
  /** Stops reading from it until the result is called, which returns whether it reads again. */
  pause: () => (() => boolean) | undefined;
};

/** Where connections and their streams are counted. */
export type Counter = {
  /** Adds bytes to what a connection holds, or subtracts them. */
  count(connection: Connection, bytes: number): void;
  /** A stream's message takes that much now that it is decompressed, or will. */
  unpacked(connection: Connection, hold: Hold, bytes: number): void;
  /** The answer of a stream is written. */
  answered(connection: Connection, hold: Hold): void;
  /** A caller on a connection is known: by its subject, or by its address, if that is empty. */
  know(connection: Connection, subject: string): void;
  /** Makes room if too much is held. */
  makeRoom(): void;
};

/** A known caller that holds memory, with all of its connections. */
export type Holder = {
  readonly name: string;
  /** Whether it is the network of an address. */
  readonly isNetwork: boolean;
  readonly connections: Set<Connection>;
  bytes: number;
};

/** One connection, with the streams on it that count. */
export class Connection {
  readonly peer: string;
  readonly #reins: Reins;
  isKnown = false;
  /** The caller that its memory counts for, once one is known. */
  holder: Holder | undefined;
  bytes = 0;
  /** Open streams, whether they count or not. */
  streams = 0;
  newest: Hold | undefined;
  /** What was opened in this turn of the event loop. Node gives none of it back before the turn is over. */
  turnBytes = 0;
  /** What messages that were compressed take of this turn. */
  turnUnpackedBytes = 0;
  #turnStreams = 0;
  #resume: (() => boolean) | undefined;
  #refusals = 0;
  #refusedSince = 0;

  constructor(peer: string, reins: Reins) {
    this.peer = peer;
    this.#reins = reins;
  }

  close(): void {
    this.#reins.close();
  }

  /** A stream is opened on it. */
  opened(bytes: number): void {
    this.turnBytes += bytes;
    this.#turnStreams += 1;
    if (this.#turnStreams >= STREAMS_PER_TURN) this.#resume ??= this.#reins.pause();
  }

  /** The turn is over. Returns whether nothing of it is left to do. */
  endTurn(): boolean {
    this.turnBytes = 0;
    this.turnUnpackedBytes = 0;
    this.#turnStreams = 0;
    if (this.#resume && !this.#resume()) return false;
    this.#resume = undefined;
    return true;
  }

  /** A stream on it was refused, because of what its caller does. */
  refused(): void {
    const now = performance.now();
    if (now - this.#refusedSince > REFUSALS_MS) {
      this.#refusedSince = now;
      this.#refusals = 0;
    }
    this.#refusals += 1;
    if (this.#refusals > MAX_REFUSALS) this.close();
  }

  /** Refuses its newest stream, if it has one that counts. */
  shed(): boolean {
    const { newest } = this;
    if (newest) this.drop(newest);
    return newest !== undefined;
  }

  /** Refuses one of its streams. */
  drop(hold: Hold): void {
    hold.release();
    hold.refuse();
    this.refused();
  }
}

/** What one stream holds. It counts unless it is suspended or released. */
export class Hold {
  readonly refuse: () => void;
  readonly #counter: Counter;
  readonly #connection: Connection;
  #bytes: number;
  #state: 'counts' | 'suspended' | 'released' = 'suspended';
  #overdue: Overdue<Hold> | undefined;
  #place: Place<Hold> | undefined;
  #older: Hold | undefined;
  #newer: Hold | undefined;

  constructor(counter: Counter, connection: Connection, bytes: number, refuse: () => void) {
    this.#counter = counter;
    this.#connection = connection;
    this.#bytes = bytes;
    this.refuse = refuse;
  }

  /** The address of its connection. */
  get peer(): string {
    return this.#connection.peer;
  }

  /** What it shares with the other streams of its connection. */
  get connection(): object {
    return this.#connection;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#state !== 'counts') return;
    this.#counter.count(this.#connection, bytes);
    if (bytes > 0) this.#counter.makeRoom();
  }

  /** A message of it takes that much (bytes) once it is decompressed. It may be refused for that at once. */
  unpack(bytes: number): void {
    this.add(bytes);
    if (this.#state === 'counts') this.#counter.unpacked(this.#connection, this, bytes);
  }

  /**
   * The service knows the caller, by `subject` or by its address. The stream does not count until the
   * caller has the answer.
   */
  know(subject: string): void {
    this.#counter.know(this.#connection, subject);
    this.suspend();
  }

  /** The service is at work for the stream: what it holds is not held by waiting. */
  suspend(): void {
    if (this.#state !== 'counts') return;
    this.#state = 'suspended';
    this.#unlink();
    const shared = this.#connection.newest ? 0 : CONNECTION_BYTES;
    this.#counter.count(this.#connection, -this.#bytes - shared);
  }

  /** The answer is written: it counts if its caller does not take it at once. */
  answered(): void {
    if (this.#state === 'suspended') this.#counter.answered(this.#connection, this);
  }

  /** Waits in `overdue` until it is released. */
  await(overdue: Overdue<Hold>): void {
    this.#overdue = overdue;
    this.#place ??= overdue.add(this);
  }

  /** The service waits for the caller: for its request, or until it has taken its answer. */
  resume(): void {
    if (this.#state !== 'suspended') return;
    this.#state = 'counts';
    this.#older = this.#connection.newest;
    if (this.#older) this.#older.#newer = this;
    this.#connection.newest = this;
    const shared = this.#older ? 0 : CONNECTION_BYTES;
    this.#counter.count(this.#connection, this.#bytes + shared);
  }

  /** The stream is over. */
  release(): void {
    if (this.#place) this.#overdue?.remove(this.#place);
    this.suspend();
    this.#state = 'released';
  }

  #unlink(): void {
    if (this.#connection.newest === this) this.#connection.newest = this.#older;
    if (this.#older) this.#older.#newer = this.#newer;
    if (this.#newer) this.#newer.#older = this.#older;
    this.#older = undefined;
    this.#newer = undefined;
  }
}
