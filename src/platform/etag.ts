import { createHash } from 'node:crypto';

/** Names a version of something: changes with `value`, and with nothing else (AIP-154). */
export function etagOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}
