/**
 * The form in which addresses are compared: without surrounding space, in lower case. The `email` rule
 * of the proto ensures that they are ASCII; only the names of domains can stand for other letters.
 */
export function canonicalEmail(email: string): string {
  return email.trim().toLowerCase();
}

/**
 * Stands in for the address of an account while another account has it. It contains a space, so it is
 * nobody's address, and begins with the address, so searches find it.
 */
export function parkedEmail(email: string, accountId: string): string {
  return `${canonicalEmail(email)} ${accountId}`;
}
