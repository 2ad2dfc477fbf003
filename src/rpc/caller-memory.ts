import { Connection, type Counter, Hold, type Reins } from './caller-connection.ts';
import { KnownCallers } from './known-callers.ts';
import type { Limits } from './limits.ts';
import { Overdue } from './overdue.ts';

/** What an open stream costs with headers of usual size. Measured. */
const STREAM_BYTES = 8 * 1024;
const USUAL_HEADER_BYTES = 1024;
/** Headers are there as lists, objects and strings, several times. */
const HEADER_COPIES = 16;
/** A message that was compressed is there as bytes, as strings, and as what zlib leaves. Measured. */
const UNPACKED_COPIES = 4;
/** How many streams of a stranger are opened in a turn in which strangers open too many. */
const FIRST_STREAMS = 4;
/** How long an answer to someone who is known may be on its way before it counts as not read. */
const READ_MS = 250;
/** How soon a connection is looked at again that can't be read yet, because its caller does not read. */
const RETRY_MS = 10;

type Budget = { readonly limitBytes: number; bytes: number };

/**
 * The memory that callers hold while the service waits for them: requests that are not complete, and
 * answers that are not read, of both listeners. Connections on which someone has shown a credential, or
 * is trusted, have their own limit, of which no caller holds more than a part. Above a limit, the newest
 * stream of the connection that holds most is refused, at the address that holds most. A connection that
 * has many refused is closed, and one of a stranger that has no other (W15).
 *
 * Node reads up to 2 MB from a connection in one turn of the event loop, and gives none of it back
 * before the turn is over, not even for a stream that the next bytes reset. So a connection that opens
 * many is paused until the next turn.
 */
export class CallerMemory implements Counter {
  readonly #strangers: Budget;
  readonly #known: Budget;
  readonly #callers: KnownCallers;
  readonly #maxStrangers: number;
  readonly #unknown = new Set<Connection>();
  /** Strangers' connections that had a stream refused in this turn or the last. */
  #refused = new Set<Connection>();
  #refusedBefore = new Set<Connection>();
  /** Answers to strangers, of this turn and the last. */
  #answered: Hold[] = [];
  #answeredBefore: Hold[] = [];
  readonly #onTheirWay = new Overdue<Hold>(READ_MS, (hold) => {
    // After a long turn, they may be about to leave: trailers go one turn after their message.
    setImmediate(() => setImmediate(() => this.#notRead(hold)));
  });
  readonly #peers = new Map<string, Set<Connection>>();
  #turnBytes = 0;
  #turnUnpackedBytes = 0;
  #busy: Connection[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor({ maxHeldBytes, maxKnownHeldBytes, knownHeldShare, maxStrangers }: Limits) {
    this.#maxStrangers = maxStrangers;
    this.#strangers = { limitBytes: maxHeldBytes, bytes: 0 };
    this.#known = { limitBytes: maxKnownHeldBytes, bytes: 0 };
    this.#callers = new KnownCallers(maxKnownHeldBytes * knownHeldShare);
  }

  /** Begins to count for a connection, until `disconnect`. */
  connect(peer: string, reins: Reins): Connection {
    const connection = new Connection(peer, reins);
    const ofPeer = this.#peers.get(peer) ?? new Set();
    this.#peers.set(peer, ofPeer.add(connection));
    this.#unknown.add(connection);
    // Not at once: Node has not finished setting up the connection.
    if (this.#unknown.size > this.#maxStrangers) this.#watchTurn();
    return connection;
  }

  disconnect(connection: Connection): void {
    const ofPeer = this.#peers.get(connection.peer);
    ofPeer?.delete(connection);
    this.#unknown.delete(connection);
    if (ofPeer?.size === 0) this.#peers.delete(connection.peer);
    while (connection.newest) connection.newest.release();
    this.#callers.leave(connection);
  }

  /** Counts a new stream. `refuse` ends it, now or later, if it has to go. */
  open(connection: Connection, headerBytes: number, refuse: () => void): Hold {
    const unusual = Math.max(headerBytes - USUAL_HEADER_BYTES, 0);
    const bytes = STREAM_BYTES + HEADER_COPIES * unusual;
    const hold = new Hold(this, connection, bytes, refuse);
    hold.resume();
    if (connection.turnBytes === 0) this.#busy.push(connection);
    connection.opened(bytes);
    this.#watchTurn();
    if (!connection.isKnown) this.#limitTurn(connection, bytes);
    this.makeRoom();
    return hold;
  }

  /**
   * Strangers may open no more in one turn than they may hold, except for the first few streams of each
   * connection.
   */
  #limitTurn(connection: Connection, bytes: number): void {
    this.#turnBytes += bytes;
    if (this.#turnBytes <= this.#strangers.limitBytes) return;
    if (connection.turnBytes > FIRST_STREAMS * STREAM_BYTES) connection.shed();
  }

  /**
   * Node keeps calls that have been answered until their turn is over, and their messages with them. So
   * what strangers have decompressed in one turn is limited. The first message of each connection may
   * have as much again, so that the others do not crowd it out.
   */
  unpacked(connection: Connection, hold: Hold, bytes: number): void {
    if (connection.isKnown || bytes === 0) return;
    const isFirst = connection.turnUnpackedBytes === 0;
    connection.turnUnpackedBytes += bytes;
    this.#turnUnpackedBytes += UNPACKED_COPIES * bytes;
    const limitBytes = (isFirst ? 2 : 1) * this.#strangers.limitBytes;
    if (this.#turnUnpackedBytes > limitBytes) connection.drop(hold);
  }

  /** An answer is written. It counts when its caller has had the time to take it. */
  answered(connection: Connection, hold: Hold): void {
    if (connection.isKnown) hold.await(this.#onTheirWay);
    else {
      this.#answered.push(hold);
      this.#watchTurn();
    }
  }

  count(connection: Connection, bytes: number): void {
    connection.bytes += bytes;
    this.#budgetOf(connection).bytes += bytes;
    this.#callers.count(connection, bytes);
  }

  know(connection: Connection, subject: string): void {
    this.#callers.know(connection, subject);
    if (connection.isKnown) return;
    this.#unknown.delete(connection);
    this.#strangers.bytes -= connection.bytes;
    this.#known.bytes += connection.bytes;
    connection.isKnown = true;
  }

  makeRoom(): void {
    this.#callers.makeRoom();
    this.#makeRoomIn(this.#strangers);
    this.#makeRoomIn(this.#known);
  }

  #budgetOf({ isKnown }: Connection): Budget {
    return isKnown ? this.#known : this.#strangers;
  }

  #makeRoomIn(budget: Budget): void {
    const isOver = () => budget.bytes > budget.limitBytes;
    while (isOver()) {
      const greediest = this.#greediest(budget === this.#known);
      // Finding the greediest connection takes time, so one search serves many streams.
      const enough = (greediest?.bytes ?? 0) / 2;
      if (!greediest?.shed()) return;
      while (isOver() && greediest.bytes > enough && greediest.shed());
      if (!greediest.isKnown) this.#refused.add(greediest);
    }
  }

  /** Trailers go one turn after their message: what is there after another turn is not read. */
  #endAnswers(): void {
    for (const hold of this.#answeredBefore) hold.resume();
    this.#answeredBefore = this.#answered;
    this.#answered = [];
    if (this.#answeredBefore.length > 0) this.#watchTurn();
  }

  #notRead(hold: Hold): void {
    hold.resume();
    this.makeRoom();
  }

  #watchTurn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#turnBytes = 0;
      this.#turnUnpackedBytes = 0;
      const stuck = this.#busy.filter((connection) => !connection.endTurn());
      this.#busy = [];
      if (stuck.length > 0) retry(stuck);
      this.#endAnswers();
      this.makeRoom();
      this.#closeRefused();
      this.#closeIdle();
      this.#closeBusy();
    });
  }

  /** A connection costs more than a stream: closes those that have none left, which go one turn later. */
  #closeRefused(): void {
    for (const connection of this.#refusedBefore) {
      if (connection.streams === 0) this.#close(connection);
    }
    this.#refusedBefore = this.#refused;
    this.#refused = new Set();
    if (this.#refusedBefore.size > 0) this.#watchTurn();
  }

  /** Closes the strangers who have been there for longest, if they have no calls. */
  #closeIdle(): void {
    for (const connection of this.#unknown) {
      if (this.#unknown.size <= this.#maxStrangers) return;
      if (connection.streams === 0) this.#close(connection);
    }
  }

  /** Closes strangers whose calls wait for themselves, while there are too many of them. */
  #closeBusy(): void {
    while (this.#unknown.size > this.#maxStrangers) {
      const greediest = this.#greediest(false);
      if (!greediest) return;
      this.#close(greediest);
    }
  }

  #close(connection: Connection): void {
    if (!this.#unknown.delete(connection)) return;
    connection.close();
  }

  /** The oldest of the connections that hold most, at the address that holds most. */
  #greediest(isKnown: boolean): Connection | undefined {
    const held = (connection: Connection) =>
      connection.isKnown === isKnown ? connection.bytes : 0;
    let most: Iterable<Connection> = [];
    let mostBytes = 0;
    for (const connections of this.#peers.values()) {
      let bytes = 0;
      for (const connection of connections) bytes += held(connection);
      if (bytes > mostBytes) [most, mostBytes] = [connections, bytes];
    }
    let greediest: Connection | undefined;
    for (const connection of most) {
      if (held(connection) > (greediest?.bytes ?? 0)) greediest = connection;
    }
    return greediest;
  }
}

function retry(stuck: readonly Connection[]): void {
  setTimeout(() => {
    const still = stuck.filter((connection) => !connection.endTurn());
    if (still.length > 0) retry(still);
  }, RETRY_MS).unref();
}
