import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ShadowDenial } from './shadow-denial.entity.ts';
import { shadowDenialsIn } from './shadow-denial.repository.ts';

/**
 * Lists what shadow mode let through although it would have been denied, on all replicas. Throws
 * `INVALID_REQUEST` for a foreign page token.
 */
export async function listShadowDenials(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: PageRequest,
): Promise<{ shadowDenials: ShadowDenial[]; nextPageToken: string }> {
  const { items: shadowDenials, nextPageToken } = await readPage(
    keyring,
    ['shadow_denials'],
    request,
    (before, limit) => database.read(caller, (em) => shadowDenialsIn(em).list(before, limit)),
    (denial) => denial.id,
  );
  return { shadowDenials, nextPageToken };
}
