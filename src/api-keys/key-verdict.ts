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
  /** Any text. */
  secret: string;
  requiredScopes: readonly string[];
  /** How many uses it counts as; 0: one. */
  cost: number;
  /** The address that it was presented from; empty if it is not known. */
  ipAddress: string;
  /** Whether the address can't be forged; if it can, a key with networks is refused. */
  addressIsCertain: boolean;
  /**
   * What limits count the call under if the secret is unknown; undefined if the method has its own
   * limits.
   */
  countedAs?: string | undefined;
  requestId: string;
  /** Whether it is judged again for the same use, which counts only once. */
  isRepeated?: boolean;
};

export function refusedKey(
  reason: KeyReason,
  principal?: Principal,
  limit?: LimitStatus,
): RefusedKey {
  return { valid: false, reason, ...(principal && { principal }), ...(limit && { limit }) };
}
