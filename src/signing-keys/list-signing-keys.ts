import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { RevokedSigningKey } from './revoked-signing-key.entity.ts';
import { SigningKey, type SigningKeyState } from './signing-key.entity.ts';
import { type SigningKeyView, viewOf, viewOfRevoked } from './signing-key-view.ts';

export type ListSigningKeysDeps = {
  database: Database;
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
      keys: await em.getRepository(SigningKey).findAll({ orderBy: { createdAt: 'desc' } }),
      revoked: await em.getRepository(RevokedSigningKey).newest(clock.now()),
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
