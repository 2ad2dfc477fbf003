/** The longest deadline of a unary call; a longer one counts as this. */
export const MAX_DEADLINE_MS = 5 * 60_000;
/** The deadline of a unary call whose caller names none. */
export const DEFAULT_DEADLINE_MS = 30_000;

/** How long the rest of a refused request is read, so that its sender comes to see the answer. */
export const LINGER_MS = 500;

/** What both listeners take of a caller before they refuse (W02). */
export const LIMITS = {
  /** One message, compressed and decompressed. */
  maxMessageBytes: 64 * 1024,
  /** All headers of one call together. */
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 100,
  /** Calls at once on one HTTP/2 connection. */
  maxStreams: 200,
  /** What one HTTP/2 connection may make us hold. */
  maxSessionMemoryMib: 16,
  /** From a connection to its first call: handshake, preface, headers. */
  headersTimeoutMs: 10_000,
  /** From a call's headers to the end of its (unary) request. */
  bodyTimeoutMs: 10_000,
  /** A call on which nothing moves, neither here nor there. */
  streamIdleMs: 5 * 60_000,
  /** A stream whose reader takes nothing that there is for it. */
  readerStallMs: 30_000,
  /** How often those who watch revocations or audit events hear that they hear. */
  checkpointMs: 5000,
  /** Those who watch revocations at once. */
  maxWatchers: 10_000,
  /** Those who watch audit events at once. */
  maxAuditWatchers: 100,
  /** How many revocations one of them may let pass, before it has to begin anew. */
  watcherBacklog: 1000,
  /** A connection without a call. */
  idleTimeoutMs: 5 * 60_000,
  /** After this a client is told to connect again, so that it finds new replicas. */
  maxConnectionAgeMs: 30 * 60_000,
  maxConnectionAgeGraceMs: 60_000,
  /** How often a silent connection is asked whether it is still there, and how long it may think. */
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,
};

export type Limits = Readonly<typeof LIMITS>;
