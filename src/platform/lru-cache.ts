import { LRUCache } from 'lru-cache';

/**
 * A cache that forgets what was used least recently once it holds `max` entries. It takes the memory for
 * an entry when the entry comes: with the library's own `max`, an empty cache takes it for all.
 */
export function lruCache<K extends {}, V extends {}>(
  max: number,
  options: { ttl?: number; dispose?: (value: V) => void } = {},
): LRUCache<K, V> {
  return new LRUCache({ maxSize: max, sizeCalculation: () => 1, ...options });
}
