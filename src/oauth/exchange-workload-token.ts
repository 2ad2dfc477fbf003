import { createHash } from 'node:crypto';
import type { RoleBook } from '../access/role-book.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { serviceAccountsIn } from '../service-accounts/service-account.repository.ts';
import { MAX_TOKEN_BYTES } from '../sessions/access-token.ts';
import { issueDerivedToken } from '../sessions/derived-token.ts';
import type { Principal } from '../sessions/principal.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ExchangedToken } from './exchange-token.ts';
import { usedWorkloadTokensIn } from './used-workload-token.repository.ts';
import type { Workload, WorkloadTokens } from './workload-tokens.ts';

export type ExchangeWorkloadToken = {
  token: string;
  audience: string;
  /** Empty: all that the service account's roles allow. */
  scopes: readonly string[];
};

type Needs = {
  database: Database;
  clock: Clock;
  keys: KeySet;
  tokens: { issuer: string; accessTokenTtlMs: number };
  roles: Pick<RoleBook, 'permissionsOf'>;
  workloadTokens: WorkloadTokens;
};

/**
 * Exchanges a token that a workload has of its own platform for one of the service account that it stands
 * for, so that it needs no secret. Each such token can be exchanged once. Ask only once what this replica
 * remembers of roles is recent.
 *
 * Throws `INVALID_REQUEST` for a field, `SCOPE_MISSING`, `DEPENDENCY_UNAVAILABLE`.
 */
export async function exchangeWorkloadToken(
  needs: Needs,
  caller: Caller,
  { token, audience, scopes: wanted }: ExchangeWorkloadToken,
): Promise<ExchangedToken> {
  const workload = await needs.workloadTokens.verify(token);
  return needs.database.transaction(caller, async (tx) => {
    const { issuer, tokenId, expiresAt, pattern } = workload;
    const hash = createHash('sha256')
      .update(JSON.stringify([issuer, tokenId]))
      .digest();
    const isFirst = await usedWorkloadTokensIn(tx.em).use(hash, new Date(expiresAt * 1000));
    if (!isFirst) throw invalidField('subject_token', 'has been exchanged before; get a new one');
    const account = await serviceAccountsIn(tx.em).lockLive(workload.serviceAccountId);
    if (account?.state !== 'active') throw noAccount();
    const held = needs.roles.permissionsOf(account.roles);
    const principal = principalOf(workload, account, held);
    const scopes = scopesFor(held, wanted);
    const ttlMs = needs.tokens.accessTokenTtlMs;
    const clientId = account.id;
    const issued = await issueDerivedToken(needs, principal, { audience, scopes, ttlMs, clientId });
    if (issued.accessToken.length > MAX_TOKEN_BYTES) {
      throw invalidField('scopes', 'would make the token longer than 4 KiB; ask for fewer of them');
    }
    const details = { token_id: issued.tokenId, audience, scopes, issuer, pattern };
    tx.audit({ type: 'token.exchanged', subject: account.id, details });
    return { accessToken: issued.accessToken, expiresAt: issued.expiresAt, scopes };
  });
}

function principalOf(
  { expiresAt }: Workload,
  { id, roles, tokenVersion }: { id: string; roles: string[]; tokenVersion: number },
  permissions: readonly string[],
): Principal {
  return {
    ...{ type: 'service_account', subject: id, sessionId: '', apiKeyId: '', tokenId: '' },
    ...{ clientId: id, keyId: '', emailVerified: false, roles: [], ownerRoles: roles },
    ...{
      tokenVersion,
      scopes: permissions,
      permissions,
      actors: [],
      amr: [],
      idp: '',
      audience: [],
    },
    ...{ authTime: 0, issuedAt: 0, expiresAt },
  };
}

function scopesFor(held: readonly string[], wanted: readonly string[]): readonly string[] {
  const missing = wanted.filter((scope) => !held.includes(scope));
  if (missing.length === 0) return wanted.length > 0 ? wanted : held;
  throw new Failure('denied', 'SCOPE_MISSING', 'the service account lacks a scope', {
    metadata: { scope: missing.join(' ') },
  });
}

function noAccount(): Failure {
  return invalidField('subject_token', 'stands for a service account that is not active');
}
