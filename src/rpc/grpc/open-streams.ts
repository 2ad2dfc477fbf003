import type { ServerHttp2Session } from 'node:http2';
import { types } from 'node:util';

/**
 * The open streams of a connection, as node:http2 asks for them: of its `Map` and its `Set` it uses no
 * more than this. There are few, so that looking through them is as fast as hashing.
 */
export class OpenStreams<Key, Stream> {
  readonly #keys: Key[] = [];
  readonly #streams: Stream[] = [];

  get size(): number {
    return this.#keys.length;
  }

  get(key: Key): Stream | undefined {
    return this.#streams[this.#keys.indexOf(key)];
  }

  set(key: Key, stream: Stream): this {
    const place = this.#keys.indexOf(key);
    this.#keys[place < 0 ? this.#keys.length : place] = key;
    this.#streams[place < 0 ? this.#streams.length : place] = stream;
    return this;
  }

  add(stream: Key & Stream): this {
    return this.set(stream, stream);
  }

  delete(key: Key): boolean {
    const place = this.#keys.indexOf(key);
    if (place < 0) return false;
    const [lastKey, lastStream] = [this.#keys.pop(), this.#streams.pop()];
    if (place < this.#keys.length) {
      this.#keys[place] = lastKey as Key;
      this.#streams[place] = lastStream as Stream;
    }
    return true;
  }

  forEach(each: (stream: Stream) => void): void {
    for (const stream of [...this.#streams]) each(stream);
  }
}

/**
 * Has a connection keep its open streams in `OpenStreams`. A `Map` that grew leaves its old table with
 * a pointer to the new one. Once one old table is in the old generation, the collector takes whatever
 * any later table held for alive: nearly every call then is copied twice and collected late, which
 * costs a fifth of a token check (docs/decisions/0008-grpc-adapter.md). Where node:http2 is not as it
 * is known, it is left alone. Says which it was.
 */
export function keepFewStreams(session: ServerHttp2Session): boolean {
  const symbol = Object.getOwnPropertySymbols(session).find(
    ({ description }) => description === 'state',
  );
  const state = symbol && Reflect.get(session, symbol);
  const isKnown =
    types.isMap(state?.streams) &&
    types.isSet(state.pendingStreams) &&
    state.streams.size + state.pendingStreams.size === 0;
  if (isKnown) {
    state.streams = new OpenStreams();
    state.pendingStreams = new OpenStreams();
  }
  return isKnown;
}
