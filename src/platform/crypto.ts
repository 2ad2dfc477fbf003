import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

const SEAL_HEADER_BYTES = 2;
const SEAL_IV_BYTES = 12;
const SEAL_TAG_BYTES = 16;

/**
 * The master key in all its versions, and the keys derived from it (HKDF-SHA-256, RFC 5869), one for
 * each purpose. New secrets use the current version; older versions still open what they sealed.
 */
export class Keyring {
  #current = 0;
  #masters: ReadonlyMap<number, Buffer> = new Map();
  /** Key objects, since an HMAC whose key is a buffer takes node six times as long. */
  readonly #derived = new Map<string, KeyObject>();

  /**
   * `masters` maps versions (1 to 255) to 32-byte keys; the first is the current one. The others may be
   * newer: every replica gets a key to open with before the first one seals with it.
   */
  constructor(masters: ReadonlyMap<number, Buffer>) {
    this.replace(masters);
  }

  /** Replaces the master keys. `masters` is as for the constructor. */
  replace(masters: ReadonlyMap<number, Buffer>): void {
    const [current] = masters.keys();
    if (current === undefined) throw new Error('there is no master key');
    this.#current = current;
    this.#masters = masters;
    this.#derived.clear();
  }

  /** The version that new secrets are sealed with. */
  get current(): number {
    return this.#current;
  }

  get versions(): number[] {
    return [...this.#masters.keys()];
  }

  /** Returns the 32-byte key for a purpose. Throws `UnknownKeyVersion` for a version not held. */
  #key(purpose: string, version: number): KeyObject {
    const name = `${version}/${purpose}`;
    let key = this.#derived.get(name);
    if (!key) {
      const master = this.#masters.get(version);
      if (!master) throw new UnknownKeyVersion(version);
      const bytes = hkdfSync('sha256', master, '', `countersign/${purpose}`, 32);
      key = createSecretKey(Buffer.from(bytes));
      this.#derived.set(name, key);
    }
    return key;
  }

  has(version: number): boolean {
    return this.#masters.has(version);
  }

  /** Returns the HMAC-SHA-256 of `data` under the purpose's key: 32 bytes. */
  mac(purpose: string, data: Uint8Array | string, version = this.current): Buffer {
    return createHmac('sha256', this.#key(purpose, version)).update(data).digest();
  }

  /**
   * Returns 32 bytes derived from `secret` (HKDF with the purpose's key as salt). These are the two steps
   * of RFC 5869, sections 2.2 and 2.3, for one block: `hkdfSync` takes half as long again.
   */
  derive(purpose: string, secret: Uint8Array, version = this.current): Buffer {
    const extracted = createSecretKey(this.mac(purpose, secret, version));
    return createHmac('sha256', extracted).update(`${purpose}\x01`).digest();
  }

  /** Encrypts (AES-256-GCM). The result holds the key's version and opens only for the same purpose. */
  seal(purpose: string, plaintext: Uint8Array | string): Buffer {
    const header = Buffer.alloc(SEAL_HEADER_BYTES);
    header.writeUInt16BE(this.current);
    const iv = randomBytes(SEAL_IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(purpose, this.current), iv);
    cipher.setAAD(header);
    const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([header, iv, cipher.getAuthTag(), body]);
  }

  /** Returns the version of the master key that something was sealed with. */
  versionOf(sealed: Uint8Array): number {
    return Buffer.from(sealed).readUInt16BE();
  }

  /** Returns the plaintext of what `seal` returned. Throws if it was altered or the key is not held. */
  open(purpose: string, sealed: Uint8Array): Buffer {
    const bytes = Buffer.from(sealed);
    const header = bytes.subarray(0, SEAL_HEADER_BYTES);
    const iv = bytes.subarray(SEAL_HEADER_BYTES, SEAL_HEADER_BYTES + SEAL_IV_BYTES);
    const bodyAt = SEAL_HEADER_BYTES + SEAL_IV_BYTES + SEAL_TAG_BYTES;
    const key = this.#key(purpose, this.versionOf(bytes));
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: SEAL_TAG_BYTES });
    decipher.setAAD(header);
    decipher.setAuthTag(bytes.subarray(bodyAt - SEAL_TAG_BYTES, bodyAt));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(bodyAt)), decipher.final()]);
    } catch (error) {
      throw new WrongMasterKey(error);
    }
  }
}

/** Sealed data does not open: it was sealed with another master key than ours, or altered. */
class WrongMasterKey extends Error {
  constructor(cause: unknown) {
    super('this was sealed with another master key, or altered since', { cause });
    this.name = 'WrongMasterKey';
  }
}

/** A secret was made with a version of the master key that this process does not have. */
class UnknownKeyVersion extends Error {
  constructor(version: number) {
    super(`version ${version} of the master key is not configured`);
    this.name = 'UnknownKeyVersion';
  }
}

/** Returns whether two byte strings are equal, in a time that depends on their lengths only. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Returns a UUID's 16 bytes in base64url: 22 characters. */
export function packUuid(uuid: string): string {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url');
}

/** Returns the UUID that `packUuid` packed, or undefined if the text is not its output. */
export function unpackUuid(text: string): string | undefined {
  if (!/^[\w-]{22}$/.test(text)) return undefined;
  const hex = Buffer.from(text, 'base64url').toString('hex');
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return packUuid(uuid) === text ? uuid : undefined;
}
