import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { atEnd } from '../harness/at-end.ts';
import { noteSecret } from '../harness/logs.ts';
import { type Callback, REDIRECT } from './peer.ts';

/** What may be wrong with an endpoint. */
export const FAULTS = ['hang', 'drip', 'reset', 'huge', '500', 'redirect', 'garbage'] as const;
type Fault = (typeof FAULTS)[number] | '404';
type Endpoint = 'discovery' | 'keys' | 'token' | 'userinfo';
type Claims = Record<string, unknown>;
/** What it signs in as: claims, and how the ID token is made of them. */
export type Grant = { claims: Claims; token?: (claims: Claims) => Promise<string | undefined> };

const CHUNK = Buffer.alloc(64 * 1024, ' ');

/** A provider that does whatever a test wants: it has no page, and calls itself back. */
export class FakeProvider {
  issuer = '';
  readonly faults: Partial<Record<Endpoint, Fault>> = {};
  readonly requests: Record<Endpoint | 'elsewhere', number> = {
    discovery: 0,
    keys: 0,
    token: 0,
    userinfo: 0,
    elsewhere: 0,
  };
  /** How much of an endless body was taken. */
  sentBytes = 0;
  /** A body with status 400 in place of tokens. */
  tokenError: string | undefined;
  userInfo: Claims | undefined;
  /** What its discovery document says besides. */
  metadata: Claims = {};
  #key: { kid: string; privateKey: CryptoKey; publicKey: CryptoKey } | undefined;
  #keys = 0;
  readonly #grants = new Map<string, Grant & { challenge: string }>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeProvider> {
    const server = createServer();
    const provider = new FakeProvider(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    provider.issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (req, res) => void provider.#answer(req, res).catch(() => res.destroy()));
    await provider.rotateKey();
    atEnd(() => provider.stop());
    return provider;
  }

  settings(more: object = {}): Record<string, unknown> {
    const client = { client_id: 'countersign', client_secret: 'secret-of-the-client' };
    const names = { id: 'fake', display_name: 'Fake', issuer: this.issuer };
    return { ...names, ...client, redirect_uris: [REDIRECT], ...more };
  }

  /** What a person's browser is sent back with, where the service has sent them. */
  visit(authorizationUrl: string, grant: Grant): Callback {
    const query = new URL(authorizationUrl).searchParams;
    const code = `code-${this.#grants.size}-of-${this.issuer}`;
    const standard = {
      iss: this.issuer,
      aud: 'countersign',
      nonce: query.get('nonce'),
      exp: Math.floor(Date.now() / 1000) + 60,
    };
    const challenge = query.get('code_challenge') ?? '';
    this.#grants.set(code, { ...grant, claims: { ...standard, ...grant.claims }, challenge });
    return { state: query.get('state') ?? '', code, iss: '', error: '' };
  }

  async rotateKey(): Promise<void> {
    this.#keys += 1;
    this.#key = { kid: `key-${this.#keys}`, ...(await generateKeyPair('ES256')) };
  }

  /** Signs claims as it should. */
  async sign(claims: Claims, { kid = this.#key?.kid } = {}): Promise<string> {
    if (!this.#key || !kid) throw new Error('no key');
    const jwt = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).setIssuedAt();
    return jwt.sign(this.#key.privateKey);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = new URL(req.url ?? '', this.issuer).pathname;
    const [name, body] = this.#endpointOf(path);
    this.requests[name] += 1;
    if (name === 'elsewhere') return void res.writeHead(404).end();
    const fault = this.faults[name];
    if (fault) return this.#fail(fault, res);
    const answer = await body(new URLSearchParams(await textOf(req)));
    const status = typeof answer['error'] === 'string' ? 400 : 200;
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  #endpointOf(path: string): ['elsewhere' | Endpoint, (form: URLSearchParams) => Promise<Claims>] {
    switch (path) {
      case '/.well-known/openid-configuration':
        return ['discovery', async () => this.#metadata()];
      case '/keys':
        return ['keys', () => this.#keySet()];
      case '/token':
        return ['token', (form) => this.#tokens(form)];
      case '/userinfo':
        return ['userinfo', async () => this.userInfo ?? {}];
      default:
        return ['elsewhere', async () => ({})];
    }
  }

  #metadata(): Claims {
    const at = (path: string) => `${this.issuer}${path}`;
    return {
      issuer: this.issuer,
      authorization_endpoint: at('/authorize'),
      token_endpoint: at('/token'),
      jwks_uri: at('/keys'),
      id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'],
      ...(this.userInfo && { userinfo_endpoint: at('/userinfo') }),
      ...this.metadata,
    };
  }

  async #keySet(): Promise<Claims> {
    if (!this.#key) return { keys: [] };
    const jwk = await exportJWK(this.#key.publicKey);
    return { keys: [{ ...jwk, kid: this.#key.kid, alg: 'ES256', use: 'sig' }] };
  }

  async #tokens(form: URLSearchParams): Promise<Claims> {
    const grant = this.#grants.get(form.get('code') ?? '');
    const verifier = form.get('code_verifier') ?? '';
    noteSecret(verifier);
    noteSecret(form.get('code') ?? '');
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    if (this.tokenError) return { error: this.tokenError };
    if (grant?.challenge !== challenge) return { error: 'invalid_grant' };
    const idToken = await (grant.token ?? ((claims) => this.sign(claims)))(grant.claims);
    return { access_token: 'a-token-of-the-provider', token_type: 'Bearer', id_token: idToken };
  }

  async #fail(fault: Fault, res: ServerResponse): Promise<void> {
    switch (fault) {
      case 'hang':
        return;
      case 'reset':
        return void res.destroy();
      case '500':
        return void res.writeHead(500).end('{}');
      case '404':
        return void res.writeHead(404, { 'content-type': 'text/html' }).end('<html>');
      case 'redirect':
        return void res.writeHead(302, { location: `${this.issuer}/elsewhere` }).end();
      case 'garbage':
        return void res.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
      case 'drip':
        res.writeHead(200, { 'content-type': 'application/json' });
        while (!res.destroyed) {
          res.write(' ');
          await sleep(100);
        }
        return;
      case 'huge':
        res.setMaxListeners(0);
        res.writeHead(200, { 'content-type': 'application/json' });
        while (!res.destroyed && this.sentBytes < 300_000_000) {
          this.sentBytes += CHUNK.length;
          if (res.write(CHUNK)) continue;
          await new Promise((done) => res.once('drain', done).once('close', done));
        }
        res.end();
    }
  }
}

async function textOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
