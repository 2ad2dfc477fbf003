import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { atEnd } from '../harness/at-end.ts';
import type { Service } from '../harness/service.ts';

const NAME = 'https://ci.test';
const AUDIENCE = 'https://id.test';
const SUBJECT = 'repo:acme/shop:ref:refs/heads/main';

/** A key that is no point of its curve. */
const UNUSABLE = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'unusable' };

/** A platform that gives its workloads tokens, and publishes its keys. */
export class OutsideIssuer {
  readonly url: string;
  /** How its key set is answered; requests are counted. */
  behaviour: 'good' | 'gone' | 'slow' | 'long' = 'good';
  asked = 0;
  readonly #keys: { kid: string; key: CryptoKey; jwk: object }[] = [];

  private constructor(url: string) {
    this.url = url;
  }

  static async start(): Promise<OutsideIssuer> {
    const server = createServer((req, res) => {
      if (req.url?.endsWith('openid-configuration')) {
        const { url } = issuer;
        res.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
        return;
      }
      issuer.asked += 1;
      const keys = [...issuer.#keys.map(({ jwk }) => jwk), UNUSABLE];
      if (issuer.behaviour === 'good') res.end(JSON.stringify({ keys }));
      else if (issuer.behaviour === 'gone') res.writeHead(503).end();
      else if (issuer.behaviour === 'long')
        res.end(JSON.stringify({ keys, x: 'x'.repeat(70_000) }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    const issuer = new OutsideIssuer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await issuer.rotate();
    return issuer;
  }

  /** Signs with a new key from now on. */
  async rotate(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const kid = `key-${this.#keys.length}`;
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' };
    this.#keys.push({ kid, key: privateKey, jwk });
  }

  /** A token with these claims, signed by its newest key. */
  sign(
    claims: JWTPayload,
    header: object = {},
    key: CryptoKey | Uint8Array | undefined = undefined,
  ) {
    const newest = this.#keys.at(-1);
    if (!newest) throw new Error('no key');
    return new SignJWT({ iss: this.url, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: newest.kid, ...header })
      .sign(key ?? newest.key);
  }

  /** The environment of a service for which the workload of `workloadToken` is this service account. */
  trustedBy(serviceAccountId: string): Record<string, string> {
    const subjects = [{ subject: SUBJECT, service_account: serviceAccountId }];
    const trusted = { issuer: NAME, jwks_uri: `${this.url}/keys`, audience: AUDIENCE, subjects };
    return { COUNTERSIGN_WORKLOAD_ISSUERS: JSON.stringify([trusted]) };
  }

  /** A token of the one workload, valid now. */
  workloadToken({ clock }: Service, more: JWTPayload = {}): Promise<string> {
    const iat = Math.floor(clock.now().getTime() / 1000);
    const claims = { iss: NAME, sub: SUBJECT, aud: AUDIENCE, jti: randomUUID(), iat };
    return this.sign({ ...claims, exp: iat + 3600, ...more });
  }
}
