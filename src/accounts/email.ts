/**
 * The form in which addresses are compared: without surrounding space, in lower case. The `email` rule
 * of the proto ensures that they are ASCII; only the names of domains can stand for other letters.
 */
export function canonicalEmail(email: string): string {
  return email.trim().toLowerCase();
}

/**
 * What an account has instead, while its address belongs to another account. It has a space, so that it is
 * nobody's address, and begins with the address, so that searches find it.
 */
export function parkedEmail(email: string, accountId: string): string {
  return `${canonicalEmail(email)} ${accountId}`;
}
