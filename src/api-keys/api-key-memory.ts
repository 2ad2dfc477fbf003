import { LRUCache } from 'lru-cache';
import { FollowedTable, type FollowedTableDeps } from '../platform/followed-table.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { apiKeysIn } from './api-key.repository.ts';
import type { KnownKey } from './known-key.ts';

const KNOWN_KEYS = 100_000;

/** A secret that was verified, by its key, until when (ms) it is one of the key's. */
export type KnownSecret = { key: KnownKey; untilMs: number };

export type ApiKeyMemoryDeps = FollowedTableDeps & {
  /** Told of what is revoked: an owner's tokens fall for the same reasons for which keys change. */
  revocations: Pick<RevocationFeed, 'followers'>;
};

/**
 * The keys that this replica knows, by digests of their secrets. It asks the table which
 * keys have changed, also where a revocation comes, and forgets those
 * (docs/decisions/0013-api-keys.md).
 */
export class ApiKeyMemory extends FollowedTable {
  readonly #deps: ApiKeyMemoryDeps;
  readonly #secrets = new LRUCache<string, KnownSecret>({ max: 2 * KNOWN_KEYS });
  /** A key that falls out of here is not followed any more, and so not to be trusted. */
  readonly #keys = new LRUCache<string, KnownKey>({
    max: KNOWN_KEYS,
    dispose: (key) => {
      key.stale = true;
    },
  });
  #lookedAtMicros: number | undefined;

  constructor(deps: ApiKeyMemoryDeps) {
    super('api-keys', deps);
    this.#deps = deps;
  }

  override async start(): Promise<void> {
    await super.start();
    this.#deps.revocations.followers.add(this.lookSoon);
  }

  /** What is known of a secret with this digest; nothing once its key has changed. */
  get(digest: string): KnownSecret | undefined {
    const known = this.#secrets.get(digest);
    return known?.key.stale ? undefined : known;
  }

  /** The key as it is known, if it is in the version that somebody has just read. */
  inVersion(id: string, version: number): KnownKey | undefined {
    const key = this.#keys.get(id);
    return key?.row.version === version ? key : undefined;
  }

  set(digest: string, known: KnownSecret): void {
    this.#secrets.set(digest, known);
    // Setting the same key again is no change: it is not disposed of.
    this.#keys.set(known.key.row.id, known.key);
  }

  /** After a change has committed: this replica forgets these keys, the others are told to look. */
  changed(ids: readonly string[]): void {
    for (const id of ids) this.#keys.delete(id);
    this.tellOthers();
  }

  protected override async readChanges(): Promise<void> {
    const last = this.#lookedAtMicros;
    const since = last === undefined ? undefined : last - this.overlapMs * 1000;
    const { lookedAtMicros, found } = await this.#deps.database.read((em) =>
      apiKeysIn(em).look(since),
    );
    for (const { id, version } of found) {
      const known = this.#keys.peek(id);
      if (known && known.row.version < version) this.#keys.delete(id);
    }
    this.#lookedAtMicros = lookedAtMicros;
  }
}
