import { createPrivateKey, randomUUID } from 'node:crypto';
import { TokenIssuer } from '../../src/sessions/token-issuer.ts';
import { PRIVATE_KEY_PURPOSE } from '../../src/signing-keys/generate-signing-key.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/signing-key.entity.ts';
import type { VerificationKey } from '../../src/signing-keys/verification-key.ts';
import { runSql } from '../service/databases.ts';
import { benchKeyring } from '../service/keyring.ts';
import type { PostgresService } from '../service/replica.ts';
import { ISSUER } from '../service/service.ts';
import { CheapMint } from './cheap-mint.ts';

/** The lifetime of a minted token, and of the session that it names: longer than any run. */
const LIFE_MS = 2 * 3_600_000;

type Owner = { sessionId: string; accountId: string; roles: string[]; scopes: string[] };

/** Issues access tokens as a service does, with its key and its code, but without a sign-in. */
export class Mint {
  readonly #key: VerificationKey;

  private constructor(key: VerificationKey) {
    this.#key = key;
  }

  /** Returns a mint with the signing key of a service. */
  static async of({ databaseUrl }: PostgresService): Promise<Mint> {
    const [row] = await runSql<{ id: string; algorithm: SigningAlgorithm; sealed: Buffer }>(
      databaseUrl,
      `select id, algorithm, private_sealed as sealed from signing_keys where state = 'active'`,
    );
    if (!row) throw new Error('the service has no signing key');
    const key = benchKeyring().open(PRIVATE_KEY_PURPOSE, row.sealed);
    return new Mint({
      id: row.id,
      algorithm: row.algorithm,
      key: createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    });
  }

  /** Returns what issues many distinct tokens like those of `token`. */
  async cheap(): Promise<CheapMint> {
    return new CheapMint(await this.token(), this.#key.key);
  }

  /** Issues a token for a session and its owner; by default for random ones, which no database has. */
  token(sessionId: string = randomUUID(), accountId: string = randomUUID()): Promise<string> {
    return this.#issue({ sessionId, accountId, roles: ['user'], scopes: [] });
  }

  /** Issues a token with some scopes, for a random session of a random administrator. */
  administratorsToken(): Promise<string> {
    return this.#issue({
      sessionId: randomUUID(),
      accountId: randomUUID(),
      roles: ['user', 'admin'],
      scopes: ['users.read', 'audit.read'],
    });
  }

  async #issue({ sessionId, accountId, roles, scopes }: Owner): Promise<string> {
    const now = new Date();
    const issuer = new TokenIssuer({
      clock: { now: () => now },
      keyring: benchKeyring(),
      keys: { signingKey: async () => this.#key },
      roles: { requireRecent: async () => {}, permissionsOf: () => scopes },
      tokens: {
        issuer: ISSUER,
        audience: ISSUER,
        accessTokenTtlMs: LIFE_MS,
        sessionTtlMs: LIFE_MS,
        sessionIdleTtlMs: LIFE_MS,
      },
    });
    const { accessToken } = await issuer.issueAccessToken({
      sessionId,
      accountId,
      tokenVersion: 0,
      roles,
      emailVerified: true,
      amr: ['pwd'],
      idp: null,
      authTime: now,
      expiresAt: new Date(now.getTime() + LIFE_MS),
    });
    return accessToken;
  }
}
