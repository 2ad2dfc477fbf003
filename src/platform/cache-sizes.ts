/** How many entries the caches of a replica hold. */
export type CacheSizes = {
  /** Verified access tokens. */
  tokens: number;
  /** Answers about credentials, with their bytes, of each kind of credential. */
  answers: number;
  /** API keys; twice as many secrets. */
  apiKeys: number;
};

/** What a replica takes under load with empty caches (MiB). Measured: docs/decisions/0028-memory.md. */
const BASE_MIB = 250;
/** What follows from 100 MiB more. */
const SIZES: CacheSizes = { tokens: 32_768, answers: 16_384, apiKeys: 32_768 };
/** Below the base, caches hold a tenth of that: without any, the database would be asked for each key. */
const LEAST = 0.1;

/** The sizes that keep a replica within a resident memory (MiB), not counting an embedded database. */
export function cacheSizes(memoryMib: number): CacheSizes {
  const factor = Math.max(LEAST, (memoryMib - BASE_MIB) / 100);
  return {
    tokens: Math.round(SIZES.tokens * factor),
    answers: Math.round(SIZES.answers * factor),
    apiKeys: Math.round(SIZES.apiKeys * factor),
  };
}
