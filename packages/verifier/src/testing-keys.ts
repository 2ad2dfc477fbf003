import {
  CompactSign,
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWK,
} from 'jose';

/** The signing keys of a test issuer: the newest signs, and all are published. */
export class TestKeys {
  readonly #published: JWK[] = [];
  #signing: { readonly key: CryptoKey; readonly id: string } | undefined;
  #first: Promise<void> | undefined;

  /** The key set, as the issuer publishes it. */
  async published(): Promise<{ keys: readonly JWK[] }> {
    await this.#firstKey();
    return { keys: this.#published };
  }

  async sign(claims: object): Promise<string> {
    await this.#firstKey();
    const { key, id } = this.#signing ?? {};
    if (!key || !id) throw new Error('there is no key');
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: id })
      .sign(key);
  }

  /** Signs with another key from now on. */
  async rotate(): Promise<void> {
    await this.#firstKey();
    await this.#add();
  }

  /** Made once, whoever needs it first. */
  #firstKey(): Promise<void> {
    this.#first ??= this.#add();
    return this.#first;
  }

  async #add(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const id = await calculateJwkThumbprint(jwk);
    this.#published.push({ ...jwk, kid: id, alg: 'ES256', use: 'sig' });
    this.#signing = { key: privateKey, id };
  }
}
