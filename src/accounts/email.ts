/**
 * The form in which addresses are compared: without surrounding space, in lower case. The `email` rule
 * of the proto ensures that they are ASCII; only the names of domains can stand for other letters.
 */
export function canonicalEmail(email: string): string {
  return email.trim().toLowerCase();
}
