import { createPrivateKey, type KeyObject } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { type CompactJWSHeaderParameters, CompactSign, decodeJwt, type JWK } from 'jose';
import { SessionService } from '../gen/countersign/v1/session_service_pb.ts';
import { readConfig } from '../src/config.ts';
import { Keyring } from '../src/platform/crypto.ts';
import { PRIVATE_KEY_PURPOSE } from '../src/signing-keys/generate-signing-key.ts';
import type { Protocol } from './harness/clients.ts';
import { sql } from './harness/database.ts';
import { signedIn } from './harness/people.ts';
import { MASTER_KEY } from './harness/prepared.ts';
import { refusal } from './harness/refusal.ts';
import type { Service } from './harness/service.ts';

export type Claims = Record<string, unknown>;

/** The keyring of the services that the tests start. */
export function testKeyring(masterKey = MASTER_KEY): Keyring {
  const { masterKeys } = readConfig({ COUNTERSIGN_MASTER_KEY: masterKey }, () => '');
  return new Keyring(masterKeys ?? new Map());
}

/** Signs anything with the service's own key, as only someone with the master key could. */
export class Forger {
  readonly header: CompactJWSHeaderParameters;
  readonly key: KeyObject;
  /** The claims of a valid token. */
  readonly claims: Claims;

  private constructor(header: CompactJWSHeaderParameters, key: KeyObject, claims: Claims) {
    this.header = header;
    this.key = key;
    this.claims = claims;
  }

  static async of(service: Service): Promise<Forger> {
    const [row] = await sql<{ id: string; algorithm: string; private_sealed: Buffer }>(
      service.databaseUrl,
      `select id, algorithm, private_sealed from signing_keys where state = 'active'`,
    );
    if (!row) throw new Error('there is no active key');
    const der = testKeyring().open(PRIVATE_KEY_PURPOSE, row.private_sealed);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const { accessToken } = await signedIn(service);
    const header = { alg: row.algorithm, kid: row.id, typ: 'at+jwt' };
    return new Forger(header, key, { ...decodeJwt(accessToken) });
  }

  /** A token with the valid claims and these; an undefined claim is left out. */
  token(claims: Claims = {}, header: object = {}, key: KeyObject | Uint8Array = this.key) {
    return this.sign(JSON.stringify({ ...this.claims, ...claims }), header, key);
  }

  /** A token with any payload at all. */
  sign(payload: string | Uint8Array, header: object = {}, key: KeyObject | Uint8Array = this.key) {
    const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
    return new CompactSign(bytes).setProtectedHeader({ ...this.header, ...header }).sign(key);
  }
}

/** Returns the key set that the service publishes. */
export async function publishedKeys(service: Service): Promise<JWK[]> {
  const answer = await fetch(`http://${service.app.httpAddress}/.well-known/jwks.json`);
  return ((await answer.json()) as { keys: JWK[] }).keys;
}

/** A compact JWS of these parts as they are, nothing signed. */
export function jws(header: unknown, payload: unknown, signature: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${signature}`;
}

/**
 * What the service makes of a token: `accepted`, or the reason of the refusal if it is the credential of
 * a call. Also checks introspection, which must agree and reveal nothing more.
 */
export async function judge(
  service: Service,
  token: string,
  protocol: Protocol = 'grpc',
): Promise<string | undefined> {
  const asCredential = service.client(SessionService, protocol, token);
  const { code, reason } = await refusal(asCredential.introspectToken({ token: '' }));
  // Known and without the permission: the token has opened the door to that question.
  const accepted = reason === 'PERMISSION_DENIED';
  if (!accepted && code !== Code.Unauthenticated) throw new Error(`refused with ${Code[code]}`);
  const client = service.client(SessionService, protocol);
  const { $typeName: _, ...answer } = await client.introspectToken({ token });
  if (answer.active !== accepted) throw new Error('introspection disagrees');
  if (!accepted && (answer.principal || answer.expiresAt || answer.reason !== 1)) {
    throw new Error('introspection tells more than INACTIVE');
  }
  return accepted ? 'accepted' : reason;
}
