import { Failure } from '../platform/failure.ts';

/** Who changes what others may do, and what their credential lets them do. */
export type Actor = { id: string; permissions: readonly string[] };

/**
 * Holds that nobody gives, takes or touches what is beyond them (A05). Throws `PERMISSION_DENIED` for
 * the first of `wanted` that is not among `held`.
 */
export function requireAll(held: ReadonlySet<string>, wanted: Iterable<string>): void {
  for (const permission of wanted) {
    if (held.has(permission)) continue;
    const message = `the permission ${permission} is needed: nobody changes what is beyond them`;
    throw new Failure('denied', 'PERMISSION_DENIED', message, { metadata: { permission } });
  }
}
