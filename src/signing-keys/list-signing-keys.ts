import type { Clock } from '../platform/clock.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { revokedSigningKeysIn } from './revoked-signing-key.repository.ts';
import type { SigningKeyState } from './signing-key.entity.ts';
import { signingKeysIn } from './signing-key.repository.ts';
import { type SigningKeyView, viewOf, viewOfRevoked } from './signing-key-view.ts';

export type ListSigningKeysDeps = {
  database: SqlDatabase;
  clock: Clock;
  accessTokenTtlMs: number;
};

const ORDER: Record<SigningKeyState, number> = { next: 0, active: 1, retired: 2 };

/** The keys that are published, and the last that were revoked: next, active, retired, revoked. */
export async function listSigningKeys(
  { database, clock, accessTokenTtlMs }: ListSigningKeysDeps,
  signal?: AbortSignal,
): Promise<SigningKeyView[]> {
  const { keys, revoked } = await database.read(
    async (em) => ({
      keys: await signingKeysIn(em).findAll({ orderBy: { createdAt: 'desc' } }),
      revoked: await revokedSigningKeysIn(em).newest(clock.now()),
    }),
    signal,
  );
  // A key that is revoked between the two readings is in both.
  const published = keys
    .filter(({ id }) => !revoked.some((key) => key.id === id))
    .sort((a, b) => ORDER[a.state] - ORDER[b.state]);
  return [
    ...published.map((key) => viewOf(key, accessTokenTtlMs)),
    ...revoked.map((key) => viewOfRevoked(key)),
  ];
}
