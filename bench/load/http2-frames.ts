/** Just enough of HTTP/2 (RFC 9113) and HPACK (RFC 7541) for a client that sends gRPC calls. */

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
/** The flag of SETTINGS and PING that acknowledges. */
export const ACK = 1;
/** The flag of DATA and HEADERS that ends a stream. */
export const END_STREAM = 1;
const END_HEADERS = 4;
const HEADER_BYTES = 9;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export type Frame = { type: number; flags: number; stream: number; payload: Buffer };

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.byteLength);
  bytes.writeUIntBE(payload.byteLength, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

export function windowUpdate(stream: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(FRAME.windowUpdate, 0, stream, payload);
}

/** Splits received bytes into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(chunk: Buffer): Generator<Frame> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      yield {
        type: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        stream: bytes.readUInt32BE(at + 5),
        payload: bytes.subarray(at + HEADER_BYTES, end),
      };
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}

/** Makes the HEADERS frames for calls of one method. Only a connection's first call spells them out. */
export class CallHeaders {
  readonly #first: Buffer;
  /** `:method` POST and `:scheme` http from the static table, the other four from the dynamic one. */
  static readonly #LATER = Buffer.from([0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
  #isFirst = true;

  constructor(address: string, path: string) {
    this.#first = Buffer.concat([
      Buffer.from([0x83, 0x86]),
      // Names by their index in the static table, which does not have `te`.
      Buffer.concat([Buffer.from([0x40 | 4]), literal(path)]),
      Buffer.concat([Buffer.from([0x40 | 1]), literal(address)]),
      Buffer.concat([Buffer.from([0x40 | 31]), literal('application/grpc')]),
      Buffer.concat([Buffer.from([0x40]), literal('te'), literal('trailers')]),
    ]);
  }

  next(stream: number, authorization?: string): Buffer {
    const block = this.#isFirst ? this.#first : CallHeaders.#LATER;
    this.#isFirst = false;
    if (authorization === undefined) return frame(FRAME.headers, END_HEADERS, stream, block);
    const whole = Buffer.concat([block, AUTHORIZATION, literal(authorization)]);
    return frame(FRAME.headers, END_HEADERS, stream, whole);
  }
}

/** By its index in the static table, 23, and for no table: each call has its own. */
const AUTHORIZATION = Buffer.from([0x0f, 23 - 0x0f]);
/** The longest length that fits into the first byte. */
const SHORT = 126;

function literal(text: string): Buffer {
  const length = [];
  let rest = text.length;
  if (rest > SHORT) {
    length.push(SHORT + 1);
    for (rest -= SHORT + 1; rest >= 0x80; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from([...length, rest]), Buffer.from(text)]);
}
