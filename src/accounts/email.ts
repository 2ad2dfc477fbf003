/**
 * The form in which an address is compared: without surrounding space, in lower case. Addresses have
 * passed the `email` rule of the proto, so they are ASCII, and nothing else can look alike.
 */
export function canonicalEmail(email: string): string {
  return email.trim().toLowerCase();
}
