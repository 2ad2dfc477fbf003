import { FEDERATED } from '../sessions/token-claims.ts';

/** The methods (RFC 8176) that prove another factor than the password. */
const SECOND_FACTORS: readonly string[] = ['otp', 'hwk', 'swk'];
/** Those that prove the first one. */
const FIRST_FACTORS: readonly string[] = ['pwd', FEDERATED];

export function provesSecondFactor(amr: readonly string[]): boolean {
  // A provider that has asked for a second factor does not say which.
  return amr.some((method) => SECOND_FACTORS.includes(method) || method === 'mfa');
}

/**
 * The `amr` of proofs that count together. It includes `mfa` if they are of two factors, or if one of
 * them alone counts as two, as a passkey that has verified its user does.
 */
export function proofsTogether(...proofs: (readonly string[])[]): string[] {
  const methods = new Set(proofs.flat());
  const hasFirst = FIRST_FACTORS.some((method) => methods.has(method));
  const isTwo = methods.delete('mfa') || (hasFirst && provesSecondFactor([...methods]));
  return [...methods, ...(isTwo ? ['mfa'] : [])];
}
