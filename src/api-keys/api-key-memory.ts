import type { LRUCache } from 'lru-cache';
import type { CacheSizes } from '../platform/cache-sizes.ts';
import { FollowedTable, type FollowedTableDeps } from '../platform/followed-table.ts';
import { lruCache } from '../platform/lru-cache.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { TablePlace } from '../platform/table-place.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import type { Principal } from '../sessions/principal.ts';
import { apiKeyChecksIn } from './api-key-check.repository.ts';
import type { KnownKey } from './known-key.ts';

/** How many secrets that belong to no key are remembered, and for how long (ms). */
const UNKNOWN_SECRETS = 10_000;
const UNKNOWN_MS = 2000;

/** A secret that was verified: its key, and until when (ms) the secret works. */
export type KnownSecret = {
  key: KnownKey;
  untilMs: number;
  /** The principal of the secret while it ends before the key, and the key's own that it follows from. */
  ending?: { of: Principal; principal: Principal };
};

/**
 * The keys that this replica knows, by digests of their secrets. It asks the table which keys have
 * changed, and forgets those (docs/decisions/0013-api-keys.md). It also asks when a revocation arrives,
 * since what revokes an owner's tokens changes the owner's keys.
 */
export class ApiKeyMemory extends FollowedTable {
  /** Called when keys that were known have changed. */
  readonly followers = new Set<() => void>();
  readonly #database: SqlDatabase;
  readonly #revocations: Pick<RevocationFeed, 'followers'>;
  readonly #secrets: LRUCache<string, KnownSecret>;
  /** A key that is evicted is no longer followed, and so no longer trusted. */
  readonly #keys: LRUCache<string, KnownKey>;
  #place: TablePlace | undefined;
  /** Includes wrong secrets of existing keys: asking twice does not reveal which ids exist (A02). */
  readonly #unknown = lruCache<string, true>(UNKNOWN_SECRETS, { ttl: UNKNOWN_MS });

  constructor(
    parts: FollowedTableDeps & {
      caches: Pick<CacheSizes, 'apiKeys'>;
      revocations: Pick<RevocationFeed, 'followers'>;
    },
  ) {
    super('api-keys', parts);
    const { apiKeys } = parts.caches;
    this.#secrets = lruCache(2 * apiKeys);
    this.#keys = lruCache(apiKeys, {
      dispose: (key: KnownKey) => {
        key.stale = true;
      },
    });
    this.#database = parts.database;
    this.#revocations = parts.revocations;
  }

  override async start(): Promise<void> {
    await super.start();
    this.#revocations.followers.add(this.lookSoon);
  }

  /** What is known of the secret with this digest; undefined once its key has changed. */
  get(digest: string): KnownSecret | undefined {
    const known = this.#secrets.get(digest);
    return known?.key.stale ? undefined : known;
  }

  /** Whether the secret with this digest belonged to no key a moment ago. */
  isUnknown(digest: string): boolean {
    return this.#unknown.has(digest);
  }

  noteUnknown(digest: string): void {
    this.#unknown.set(digest, true);
  }

  /** The key as it is known, if it is known in this version. */
  inVersion(id: string, version: number): KnownKey | undefined {
    const key = this.#keys.get(id);
    return key?.row.version === version ? key : undefined;
  }

  set(digest: string, known: KnownSecret): void {
    this.#secrets.set(digest, known);
    // Setting the same object again does not dispose of it.
    this.#keys.set(known.key.row.id, known.key);
  }

  /**
   * Forgets these keys, and tells the other replicas to look. Call it after the change has committed.
   */
  changed(ids: readonly string[]): void {
    this.#forget(ids);
    this.tellOthers();
  }

  #forget(ids: readonly string[]): void {
    const known = ids.filter((id) => this.#keys.delete(id));
    if (known.length === 0) return;
    for (const follower of this.followers) follower();
  }

  protected override async readChanges(): Promise<void> {
    const { place, found } = await this.#database.look((em) =>
      apiKeyChecksIn(em).look(this.#place),
    );
    if (found.length > 0) this.#unknown.clear();
    const isChanged = ({ id, version }: { id: string; version: number }) =>
      (this.#keys.peek(id)?.row.version ?? version) < version;
    this.#forget(found.filter(isChanged).map(({ id }) => id));
    this.#place = place;
  }
}
