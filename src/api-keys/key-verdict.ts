import type { Principal } from '../sessions/principal.ts';
import type { LimitStatus } from './key-limits.ts';

/** Why a key is not accepted: the names of `countersign.v1.ApiKeyReason` without their prefix. */
export type KeyReason =
  | 'UNKNOWN_KEY'
  | 'EXPIRED'
  | 'REVOKED'
  | 'SCOPE_MISSING'
  | 'ADDRESS_NOT_ALLOWED'
  | 'RATE_LIMITED'
  | 'OWNER_INACTIVE';

export type RefusedKey = {
  valid: false;
  reason: KeyReason;
  principal?: Principal;
  limit?: LimitStatus;
};

export type KeyVerdict = { valid: true; principal: Principal; limit?: LimitStatus } | RefusedKey;

export type KeyQuery = {
  /** Anything at all. */
  secret: string;
  requiredScopes: readonly string[];
  /** As how many uses it counts, 0: as one. */
  cost: number;
  /** Where it was presented from; empty: unknown. */
  ipAddress: string;
  requestId: string;
};

export function refusedKey(
  reason: KeyReason,
  principal?: Principal,
  limit?: LimitStatus,
): RefusedKey {
  return { valid: false, reason, ...(principal && { principal }), ...(limit && { limit }) };
}
