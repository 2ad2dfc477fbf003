/** What an open stream costs beside its headers and its body: objects of Node, of the protocol, ours. */
const STREAM_BYTES = 12 * 1024;
/** Headers are there as a list, as an object and as the call's own, each in strings of two bytes. */
const HEADER_COPIES = 6;

/** One connection, with the streams on it that count. */
export class Connection {
  readonly peer: string;
  bytes = 0;
  /** Open streams, whether they count or not. */
  streams = 0;
  /** Streams that it opened against the limits. */
  offences = 0;
  newest: Hold | undefined;

  constructor(peer: string) {
    this.peer = peer;
  }
}

/**
 * The memory that callers hold while the service waits for them: requests that are not complete, and
 * answers that are not read, of all connections of both listeners. Above the limit, the newest
 * stream of the connection that holds most is refused, at the address that holds most (W15).
 */
export class CallerMemory {
  readonly #limit: number;
  readonly #connections = new Set<Connection>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Begins to count for a connection, until `disconnect`. */
  connect(peer: string): Connection {
    const connection = new Connection(peer);
    this.#connections.add(connection);
    return connection;
  }

  disconnect(connection: Connection): void {
    this.#connections.delete(connection);
    while (connection.newest) connection.newest.release();
  }

  /** Counts a new stream. `refuse` ends it, if it has to go. */
  open(connection: Connection, headerBytes: number, refuse: () => void): Hold {
    const hold = new Hold(this, connection, refuse);
    hold.add(STREAM_BYTES + HEADER_COPIES * headerBytes);
    hold.resume();
    return hold;
  }

  /** For `Hold` alone. */
  count(connection: Connection, bytes: number): void {
    connection.bytes += bytes;
    this.#bytes += bytes;
    while (this.#bytes > this.#limit) {
      const hold = this.#greediest()?.newest;
      if (!hold) return;
      hold.release();
      hold.refuse();
    }
  }

  #greediest(): Connection | undefined {
    const byPeer = new Map<string, number>();
    for (const { peer, bytes } of this.#connections) {
      byPeer.set(peer, (byPeer.get(peer) ?? 0) + bytes);
    }
    const most = Math.max(...byPeer.values());
    let greediest: Connection | undefined;
    for (const connection of this.#connections) {
      if (byPeer.get(connection.peer) !== most) continue;
      if (connection.bytes > (greediest?.bytes ?? 0)) greediest = connection;
    }
    return greediest;
  }
}

/** What one stream holds. It counts unless it is suspended or released. */
export class Hold {
  readonly refuse: () => void;
  readonly #memory: CallerMemory;
  readonly #connection: Connection;
  #bytes = 0;
  #state: 'counts' | 'suspended' | 'released' = 'suspended';
  #older: Hold | undefined;
  #newer: Hold | undefined;

  constructor(memory: CallerMemory, connection: Connection, refuse: () => void) {
    this.#memory = memory;
    this.#connection = connection;
    this.refuse = refuse;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#state === 'counts') this.#memory.count(this.#connection, bytes);
  }

  /** The service is at work for the stream, or knows its caller: what it holds is not held by waiting. */
  suspend(): void {
    if (this.#state !== 'counts') return;
    this.#state = 'suspended';
    this.#unlink();
    this.#memory.count(this.#connection, -this.#bytes);
  }

  /** The service waits for the caller again: to take its answer. */
  resume(): void {
    if (this.#state !== 'suspended') return;
    this.#state = 'counts';
    this.#older = this.#connection.newest;
    if (this.#older) this.#older.#newer = this;
    this.#connection.newest = this;
    this.#memory.count(this.#connection, this.#bytes);
  }

  /** The stream is over. */
  release(): void {
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
