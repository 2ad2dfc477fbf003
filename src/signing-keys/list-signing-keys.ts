import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { revokedSigningKeysIn } from './revoked-signing-key.repository.ts';
import type { SigningKeyState } from './signing-key.entity.ts';
import { signingKeysIn } from './signing-key.repository.ts';
import { type SigningKeyView, viewOf, viewOfRevoked } from './signing-key-view.ts';

const ORDER: Record<SigningKeyState, number> = { next: 0, active: 1, retired: 2 };

/** Lists the published keys (next, active, retired), and then those revoked last. */
export async function listSigningKeys(
  { database, accessTokenTtlMs }: { database: Database; accessTokenTtlMs: number },
  caller: Caller,
): Promise<SigningKeyView[]> {
  const { keys, revoked } = await database.read(caller, async (em, now) => ({
    keys: await signingKeysIn(em).findAll({ orderBy: { createdAt: 'desc' } }),
    revoked: await revokedSigningKeysIn(em).newest(now),
  }));
  // A key that is revoked between the two statements is in both results.
  const published = keys
    .filter(({ id }) => !revoked.some((key) => key.id === id))
    .sort((a, b) => ORDER[a.state] - ORDER[b.state]);
  return [
    ...published.map((key) => viewOf(key, accessTokenTtlMs)),
    ...revoked.map((key) => viewOfRevoked(key)),
  ];
}
