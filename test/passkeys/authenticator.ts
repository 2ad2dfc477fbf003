import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { type Cbor, cbor } from './cbor.ts';

const UP = 0x01;
const UV = 0x04;
const BE = 0x08;
const BS = 0x10;
const AT = 0x40;

export const ORIGIN = 'https://app.example.com';
export const RP_ID = 'example.com';

/** What `options_json` holds, as far as an authenticator reads it. */
export type Options = {
  challenge: string;
  user?: { id: string; name: string };
  rp?: { id: string };
  rpId?: string;
  allowCredentials?: { id: string }[];
  excludeCredentials?: { id: string }[];
};

export type Attestation = { fmt: string; attStmt: Map<string, Cbor> };

/** What to do differently from the request. */
export type Mischief = {
  origin?: string;
  rpId?: string;
  type?: string;
  challenge?: string;
  userVerified?: boolean;
  userPresent?: boolean;
  synced?: boolean;
  counter?: number;
  userHandle?: string | null;
  clientData?: Record<string, unknown>;
  /** `self`: signed with the new passkey, as some give although none is asked for. */
  attestation?: 'self' | Attestation | ((authData: Buffer, clientData: Buffer) => Attestation);
};

type Kind = {
  algorithm?: 'ES256' | 'Ed25519';
  synced?: boolean;
  counts?: boolean;
  /** Of the page that it is used by. */
  origin?: string;
};

/** An authenticator in software, with its browser: one resident passkey, WebAuthn Level 3. */
export class Authenticator {
  readonly credentialId = randomBytes(32).toString('base64url');
  counter = 0;
  readonly #keys: { privateKey: KeyObject; publicKey: KeyObject };
  readonly #kind: Required<Kind>;
  #userHandle = '';

  constructor(kind: Kind = {}) {
    this.#kind = { algorithm: 'ES256', synced: false, counts: true, origin: ORIGIN, ...kind };
    this.#keys =
      this.#kind.algorithm === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519');
  }

  /** `navigator.credentials.create`. */
  create(optionsJson: string, mischief: Mischief = {}): string {
    const options: Options = JSON.parse(optionsJson);
    this.#userHandle = options.user?.id ?? '';
    const id = Buffer.from(this.credentialId, 'base64url');
    const length = Buffer.of(id.length >> 8, id.length & 255);
    const attested = Buffer.concat([Buffer.alloc(16), length, id, cbor(this.#coseKey())]);
    const authData = this.#authenticatorData(options.rp?.id ?? '', AT, mischief, attested);
    const clientData = this.#clientData('webauthn.create', options, mischief);
    const attestation = this.#attestation(mischief, authData, clientData);
    const object = new Map<string, Cbor>([...Object.entries(attestation), ['authData', authData]]);
    return this.#credential({
      clientDataJSON: clientData.toString('base64url'),
      attestationObject: cbor(object).toString('base64url'),
      transports: ['internal', 'hybrid'],
    });
  }

  /** `navigator.credentials.get`. */
  get(optionsJson: string, mischief: Mischief = {}): string {
    const options: Options = JSON.parse(optionsJson);
    const clientData = this.#clientData('webauthn.get', options, mischief);
    const authData = this.#authenticatorData(options.rpId ?? '', 0, mischief);
    return this.#credential({
      clientDataJSON: clientData.toString('base64url'),
      authenticatorData: authData.toString('base64url'),
      signature: this.#sign(authData, clientData).toString('base64url'),
      userHandle: mischief.userHandle === undefined ? this.#userHandle : mischief.userHandle,
    });
  }

  #attestation({ attestation }: Mischief, authData: Buffer, clientData: Buffer): Attestation {
    if (typeof attestation === 'function') return attestation(authData, clientData);
    if (attestation !== 'self') return attestation ?? { fmt: 'none', attStmt: new Map() };
    // Section 8.2, without certificates.
    const attStmt = new Map<string, Cbor>([
      ['alg', this.#kind.algorithm === 'ES256' ? -7 : -8],
      ['sig', this.#sign(authData, clientData)],
    ]);
    return { fmt: 'packed', attStmt };
  }

  #sign(authData: Buffer, clientData: Buffer): Buffer {
    const digest = this.#kind.algorithm === 'ES256' ? 'sha256' : null;
    const signed = Buffer.concat([authData, createHash('sha256').update(clientData).digest()]);
    return sign(digest, signed, this.#keys.privateKey);
  }

  #credential(response: Record<string, unknown>): string {
    const { credentialId: id } = this;
    return JSON.stringify({
      id,
      rawId: id,
      type: 'public-key',
      authenticatorAttachment: 'platform',
      clientExtensionResults: {},
      response,
    });
  }

  #clientData(type: string, { challenge }: Options, mischief: Mischief): Buffer {
    const data = {
      type: mischief.type ?? type,
      challenge: mischief.challenge ?? challenge,
      origin: mischief.origin ?? this.#kind.origin,
      crossOrigin: false,
      ...mischief.clientData,
    };
    return Buffer.from(JSON.stringify(data));
  }

  /** Section 6.1. */
  #authenticatorData(
    rpId: string,
    flags: number,
    mischief: Mischief,
    attested = Buffer.of(),
  ): Buffer {
    const { userPresent = true, userVerified = true, synced = this.#kind.synced } = mischief;
    if (this.#kind.counts) this.counter += 1;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(mischief.counter ?? this.counter);
    const all = flags | (userPresent ? UP : 0) | (userVerified ? UV : 0) | (synced ? BE | BS : 0);
    const rpIdHash = createHash('sha256')
      .update(mischief.rpId ?? rpId)
      .digest();
    return Buffer.concat([rpIdHash, Buffer.of(all), counter, attested]);
  }

  /** RFC 9053, section 7. */
  #coseKey(): Map<number, Cbor> {
    const { x = '', y = '' } = this.#keys.publicKey.export({ format: 'jwk' });
    const bytes = (text: string) => Buffer.from(text, 'base64url');
    if (this.#kind.algorithm === 'Ed25519') {
      return new Map<number, Cbor>([
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, bytes(x)],
      ]);
    }
    return new Map<number, Cbor>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, bytes(x)],
      [-3, bytes(y)],
    ]);
  }
}
