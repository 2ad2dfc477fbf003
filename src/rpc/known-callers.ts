import { networkOf } from '../platform/net.ts';
import type { Connection, Holder } from './caller-connection.ts';

/**
 * Counts what each known caller holds over all of its connections (W02). The caller of a connection is
 * the principal that calls on it. If several do, as behind a gateway, or if only the address is trusted,
 * it is the network of the address.
 */
export class KnownCallers {
  readonly #shareBytes: number;
  readonly #holders = new Map<string, Holder>();
  readonly #greedy = new Set<Holder>();

  constructor(shareBytes: number) {
    this.#shareBytes = shareBytes;
  }

  /** Notes who calls on a connection; `subject` is empty if only the address is known. */
  know(connection: Connection, subject: string): void {
    const { holder, peer } = connection;
    if (holder?.isNetwork || holder?.name === subject) return;
    const isNetwork = holder !== undefined || subject === '';
    const name = isNetwork ? `network ${networkOf(peer)}` : subject;
    this.leave(connection);
    const next = this.#holders.get(name) ?? { name, isNetwork, connections: new Set(), bytes: 0 };
    this.#holders.set(name, next);
    next.connections.add(connection);
    connection.holder = next;
    this.count(connection, connection.bytes);
  }

  leave(connection: Connection): void {
    const { holder } = connection;
    if (!holder) return;
    holder.bytes -= connection.bytes;
    holder.connections.delete(connection);
    if (holder.connections.size === 0) this.#holders.delete(holder.name);
    connection.holder = undefined;
  }

  /** Adds bytes to what a known caller holds, or subtracts them. */
  count({ holder }: Connection, bytes: number): void {
    if (!holder) return;
    holder.bytes += bytes;
    if (holder.bytes > this.#shareBytes) this.#greedy.add(holder);
  }

  /** Refuses the newest streams of those who hold more than their share. */
  makeRoom(): void {
    for (const holder of this.#greedy) {
      this.#greedy.delete(holder);
      while (holder.bytes > this.#shareBytes && shed(holder, this.#shareBytes));
    }
  }
}

/** Refuses streams of the connection that holds most. Returns whether there was one. */
function shed(holder: Holder, shareBytes: number): boolean {
  let greediest: Connection | undefined;
  for (const connection of holder.connections) {
    if (connection.bytes > (greediest?.bytes ?? 0)) greediest = connection;
  }
  if (!greediest?.shed()) return false;
  // Finding the greediest connection takes time, so one search serves many streams.
  const enough = greediest.bytes / 2;
  while (holder.bytes > shareBytes && greediest.bytes > enough && greediest.shed());
  return true;
}
