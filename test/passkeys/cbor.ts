export type Cbor = number | string | Uint8Array | Cbor[] | Map<number | string, Cbor>;

/** CBOR (RFC 8949) of what authenticators make: integers, bytes, text, arrays, maps in their order. */
export function cbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string')
    return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  const entries = [...value].flatMap(([key, item]) => [cbor(key), cbor(item)]);
  return Buffer.concat([head(5, value.size), ...entries]);
}

function head(type: number, n: number): Buffer {
  if (n < 24) return Buffer.of((type << 5) | n);
  if (n < 256) return Buffer.of((type << 5) | 24, n);
  return Buffer.of((type << 5) | 25, n >> 8, n & 255);
}
