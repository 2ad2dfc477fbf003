/**
 * The open streams of a connection, with the part of `Map` and `Set` that node:http2 uses for them. In
 * place of a `Map`, because a `Map` that grows leaves its old table with a pointer to the new one. Once
 * an old table is in the old generation, the collector takes everything in the later tables for alive:
 * nearly every call is then copied twice and collected late, which costs a fifth of a token check
 * (docs/decisions/0008-grpc-adapter.md). There are few streams: a linear search is as fast as a hash.
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
