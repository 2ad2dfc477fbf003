/** The methods (RFC 8176) that prove another factor than the password. */
const SECOND_FACTORS: readonly string[] = ['otp', 'hwk', 'swk'];

export function provesSecondFactor(amr: readonly string[]): boolean {
  return amr.some((method) => SECOND_FACTORS.includes(method));
}

/**
 * The `amr` of proofs that count together. It includes `mfa` if they are of two factors, or if one of
 * them alone counts as two, as a passkey that has verified its user does.
 */
export function proofsTogether(...proofs: (readonly string[])[]): string[] {
  const methods = new Set(proofs.flat());
  const isTwo = methods.delete('mfa') || (methods.has('pwd') && provesSecondFactor([...methods]));
  return [...methods, ...(isTwo ? ['mfa'] : [])];
}
