import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { logout } from '../sessions/logout.ts';
import type { Principal } from '../sessions/principal.ts';
import type { AccessTokenVerifier } from '../sessions/verify-access-token.ts';
import type { Database } from '../unit-of-work/database.ts';

/**
 * Revokes a token for whoever holds it (RFC 7009): a refresh token of any generation ends its session, an
 * access token ends alone. Idempotent, and does nothing for what is not, or no longer, a token of ours.
 * When it returns, this replica refuses the token, and the others do within a second (S09).
 */
export async function revokeToken(
  needs: { database: Database; keyring: Keyring; verifier: AccessTokenVerifier },
  caller: Caller,
  token: string,
): Promise<void> {
  if (token.startsWith('csr_')) return logout(needs, caller, token);
  const principal = await valid(needs.verifier, token);
  if (!principal) return;
  const { subject, tokenId, sessionId, apiKeyId } = principal;
  await needs.database.transaction(caller, async (tx) => {
    tx.audit({
      type: 'token.revoked',
      subject,
      details: {
        token_id: tokenId,
        ...(sessionId !== '' && { session_id: sessionId }),
        ...(apiKeyId !== '' && { api_key_id: apiKeyId }),
      },
    });
    await tx.revoke([{ kind: 'token', id: tokenId }], 'token_revoked');
  });
}

async function valid(verifier: AccessTokenVerifier, token: string): Promise<Principal | undefined> {
  try {
    return await verifier.verify(token);
  } catch (error) {
    if (error instanceof Failure && error.kind === 'unauthenticated') return undefined;
    throw error;
  }
}
