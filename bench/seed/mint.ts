import { createPrivateKey, randomUUID } from 'node:crypto';
import { Keyring } from '../../src/platform/crypto.ts';
import { issueAccessToken } from '../../src/sessions/access-token.ts';
import { PRIVATE_KEY_PURPOSE } from '../../src/signing-keys/generate-signing-key.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/signing-key.entity.ts';
import type { VerificationKey } from '../../src/signing-keys/verification-key.ts';
import { MASTER_KEY, type PostgresService, runSql } from '../service/postgres.ts';
import { ISSUER } from '../service/service.ts';

/** The life of a minted token, and of the session that it names: longer than any run. */
const LIFE_MS = 2 * 3_600_000;

/** The keyring of the services that are measured. */
export function benchKeyring(): Keyring {
  return new Keyring(new Map([[1, MASTER_KEY]]));
}

/** Issues access tokens as a service does, with its key and its code, but for nobody's sign-in. */
export class Mint {
  readonly #key: VerificationKey;

  private constructor(key: VerificationKey) {
    this.#key = key;
  }

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

  /** A token of a session and its owner; of new ones that no database knows, where none are given. */
  async token(sessionId: string = randomUUID(), accountId: string = randomUUID()): Promise<string> {
    const now = new Date();
    const deps = {
      clock: { now: () => now },
      keys: { signingKey: async () => this.#key },
      roles: { isStale: false, look: async () => {}, permissionsOf: () => [] },
      tokens: { issuer: ISSUER, audience: ISSUER, accessTokenTtlMs: LIFE_MS },
    };
    const { accessToken } = await issueAccessToken(deps, {
      sessionId,
      accountId,
      roles: ['user'],
      emailVerified: true,
      amr: ['pwd'],
      authTime: now,
      expiresAt: new Date(now.getTime() + LIFE_MS),
    });
    return accessToken;
  }
}
