/** The longest deadline of a unary call; a longer one is cut to it. */
export const MAX_DEADLINE_MS = 5 * 60_000;
/** The deadline of a unary call whose caller names none. */
export const DEFAULT_DEADLINE_MS = 30_000;

/** How long the rest of a refused request is read, so that its sender gets to see the answer. */
export const LINGER_MS = 500;

/** How much both listeners accept of a caller (W02). */
export const LIMITS = {
  /** One message, compressed and decompressed. */
  maxMessageBytes: 64 * 1024,
  /** All headers of one call together. */
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 100,
  /** All headers of a client's request that one of our proxies asks about: they come with its cookies. */
  maxProxiedHeaderBytes: 128 * 1024,
  /** Concurrent calls on one HTTP/2 connection: a gateway may have thousands on each. */
  maxStreams: 20_000,
  /** How many calls a connection may cancel at once, and how many each second after that. */
  maxResets: 10_000,
  maxResetsPerSecond: 1000,
  /** The memory that node:http2 may take for one connection. */
  maxSessionMemoryMib: 64,
  /** The memory that all strangers together may hold while the service waits for them. */
  maxHeldBytes: 16 * 1024 * 1024,
  /** The same, for connections on which someone has shown a credential, or is trusted. */
  maxKnownHeldBytes: 256 * 1024 * 1024,
  /** The part of that which one principal may hold, or one address (IPv6: /64) for several. */
  knownHeldShare: 3 / 4,
  /** Connections on which nobody has shown a credential; above it, idle ones are closed. */
  maxStrangers: 1500,
  /** Connections to each listener. */
  maxConnections: 10_000,
  /** From a connection to its first call: handshake, preface, headers. */
  headersTimeoutMs: 10_000,
  /** From a call's headers to the end of its (unary) request. */
  bodyTimeoutMs: 10_000,
  /** A call on which nothing moves in either direction. */
  streamIdleMs: 5 * 60_000,
  /** A stream whose reader takes nothing although there is something to read. */
  readerStallMs: 30_000,
  /** Any answer of which its caller takes nothing, a status behind unread messages too. */
  maxUntakenMs: 60_000,
  /** How often open streams are judged by their credentials, in addition to whenever there is news. */
  streamJudgedMs: 500,
  /** How often watchers of revocations or audit events are told that they are still connected. */
  checkpointMs: 5000,
  /** Concurrent watchers of revocations. */
  maxWatchers: 10_000,
  /** Concurrent watchers of audit events. */
  maxAuditWatchers: 100,
  /** Concurrent watchers of health, in all and on one connection. */
  maxHealthWatchers: 2000,
  maxHealthWatchersOfConnection: 100,
  /**
   * The share of each of these that one subject, or one address (IPv6: /64) without a credential, may
   * have.
   */
  watcherShare: 1 / 4,
  /** How many revocations one of them may be behind before it has to start again. */
  watcherBacklog: 1000,
  /** How long a client that lost the answer to a refresh may ask again (S06); longer after an outage (S14). */
  refreshGraceMs: 10_000,
  /** A connection without a call. */
  idleTimeoutMs: 5 * 60_000,
  /** After this time a client is told to connect again, so that it finds new replicas. */
  maxConnectionAgeMs: 30 * 60_000,
  maxConnectionAgeGraceMs: 60_000,
  /** How often a silent connection is pinged, and how long it has to answer. */
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,
};

export type Limits = Readonly<typeof LIMITS>;
