import { createHash } from 'node:crypto';
import { Failure } from './failure.ts';
import { invalidField } from './invalid-field.ts';

/**
 * Returns the fields that an update changes (AIP-134): those in its mask; for `*` all that can be
 * changed; for an empty mask those for which `isGiven` returns true.
 *
 * Throws `INVALID_REQUEST` if the mask names a field that can't be changed.
 */
export function fieldsToUpdate<Name extends string>(
  mask: readonly string[],
  editable: readonly Name[],
  isGiven: (name: Name) => boolean,
): Name[] {
  const names: readonly string[] = editable;
  const wrong = mask.filter((name) => name !== '*' && !names.includes(name));
  if (wrong.length > 0) {
    const description = `names fields that can't be changed here: ${wrong.join(', ')}`;
    throw invalidField('update_mask', description);
  }
  if (mask.includes('*')) return [...editable];
  return editable.filter(mask.length > 0 ? (name) => mask.includes(name) : isGiven);
}

/** Returns the etag of a version of something: it changes if and only if `value` does (AIP-154). */
export function etagOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}

/** Throws `ETAG_MISMATCH` if an update's etag is not the present one. Empty matches any. */
export function requireEtag(given: string, present: string): void {
  if (given === '' || given === present) return;
  throw new Failure(
    'aborted',
    'ETAG_MISMATCH',
    'the resource has changed since its etag was read; read it again and repeat the update',
  );
}
