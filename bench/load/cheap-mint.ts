import { createECDH, createHash, type KeyObject, randomUUID } from 'node:crypto';

/** The order of P-256's group (FIPS 186-5). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** Any number will do. */
const NONCE = 0x1f0e1d0c1b0a19081706150413021100n;

/**
 * Signs distinct tokens of one kind with ES256, all with one nonce. That gives the key away, but each
 * signature is one multiplication, so that a million tokens take seconds and not minutes.
 */
export class CheapMint {
  readonly #header: string;
  readonly #claims: object;
  readonly #r: bigint;
  readonly #inverse: bigint;
  readonly #addend: bigint;
  readonly #ids = randomUUID().slice(0, 24);
  #issued = 0;

  /** Issues tokens like `token`, which the key signed. */
  constructor(token: string, key: KeyObject) {
    const [header = '', claims = ''] = token.split('.');
    this.#header = header;
    this.#claims = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const point = createECDH('prime256v1');
    point.setPrivateKey(NONCE.toString(16), 'hex');
    // Without the byte that says that both coordinates follow.
    this.#r = numberOf(point.getPublicKey().subarray(1, 33)) % ORDER;
    this.#inverse = power(NONCE, ORDER - 2n);
    this.#addend =
      this.#r * numberOf(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'));
  }

  /** Issues a token that differs from all others in its id, its session and its subject. */
  token(): string {
    this.#issued += 1;
    const id = this.#ids + this.#issued.toString(16).padStart(12, '0');
    const claims = JSON.stringify({ ...this.#claims, jti: id, sid: id, sub: id });
    const input = `${this.#header}.${Buffer.from(claims).toString('base64url')}`;
    const digest = numberOf(createHash('sha256').update(input).digest());
    const s = (this.#inverse * (digest + this.#addend)) % ORDER;
    const signature = this.#r.toString(16).padStart(64, '0') + s.toString(16).padStart(64, '0');
    return `${input}.${Buffer.from(signature, 'hex').toString('base64url')}`;
  }
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let [factor, left] = [base, exponent]; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * factor) % ORDER;
    factor = (factor * factor) % ORDER;
  }
  return result;
}
