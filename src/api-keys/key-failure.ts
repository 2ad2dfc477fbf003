import { Failure } from '../platform/failure.ts';
import type { KeyReason, RefusedKey } from './key-verdict.ts';

const UNAUTHENTICATED = {
  UNKNOWN_KEY: ['TOKEN_INVALID', 'the API key is not valid'],
  EXPIRED: ['TOKEN_EXPIRED', 'the API key has expired'],
  REVOKED: ['TOKEN_REVOKED', 'the API key has been revoked'],
  OWNER_INACTIVE: ['ACCOUNT_SUSPENDED', "the API key's owner is not active"],
} as const satisfies Partial<Record<KeyReason, readonly [Failure['reason'], string]>>;

/**
 * The failure of a call with a refused key. The refusal by a limit says nothing about the key (A03).
 */
export function keyFailure({ reason, limit }: RefusedKey, scopes: readonly string[] = []): Failure {
  switch (reason) {
    case 'RATE_LIMITED':
      return new Failure('exhausted', 'RATE_LIMITED', "the API key's limit is used up", {
        ...(limit && { retryAfterMs: limit.resetsInMs }),
        metadata: { limit: 'api_key' },
      });
    case 'ADDRESS_NOT_ALLOWED':
      return new Failure(
        'denied',
        'ADDRESS_NOT_ALLOWED',
        'the API key may not be used from this address',
      );
    case 'SCOPE_MISSING':
      return new Failure('denied', 'SCOPE_MISSING', 'the API key lacks a scope', {
        metadata: { scope: scopes.join(' ') },
      });
    default: {
      const [name, message] = UNAUTHENTICATED[reason];
      return new Failure('unauthenticated', name, message);
    }
  }
}
