/** What both listeners read of a caller before they refuse (W02). */

/** One message, compressed and decompressed. */
export const MAX_MESSAGE_BYTES = 64 * 1024;
/** All headers of one call together. */
export const MAX_HEADER_BYTES = 16 * 1024;
/** Calls at once on one HTTP/2 connection. */
export const MAX_STREAMS = 200;
/** What one HTTP/2 connection may make us hold, in MiB. */
export const MAX_SESSION_MEMORY_MIB = 16;
/** From a call's headers to the end of its (unary) request. */
export const BODY_TIMEOUT_MS = 10_000;
/** A connection without a call. */
export const IDLE_TIMEOUT_MS = 5 * 60_000;
/** The longest deadline that a caller may name. */
export const MAX_DEADLINE_MS = 5 * 60_000;
/** After this a client is told to connect again, so that it finds new replicas. */
export const MAX_CONNECTION_AGE_MS = 30 * 60_000;
export const MAX_CONNECTION_AGE_GRACE_MS = 60_000;
/** How often a silent connection is asked whether it is still there, and how long it may think. */
export const KEEPALIVE_MS = 60_000;
export const KEEPALIVE_TIMEOUT_MS = 20_000;
