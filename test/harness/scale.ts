const isLong = process.env['COUNTERSIGN_TEST_LONG'] === '1';

/**
 * How often something is done that can be repeated: a few times by `npm test`, as often as the promises
 * say by `npm run test:long`, or as often as the variable says.
 */
function scale(variable: string, few: number, many: number): number {
  return Number(process.env[variable] ?? (isLong ? many : few));
}

/** Kills of a service at work. */
export const CRASHES = scale('CRASHES', 1, 200);
/** Pairs of processes that start at once on one data directory. */
export const STARTS = scale('STARTS', 1, 30);
/** Races of 64 for one refresh token. */
export const ROUNDS = scale('ROUNDS', 3, 1000);
/** Calls at once on one connection, half of which are given up: more than node:http2 lets be reset by default. */
export const CALLS = scale('CALLS', 3000, 10_000);
/** Replicas that hand on the same events at once. */
export const FAN_OUTS = scale('FAN_OUTS', 16, 64);
/** Readers of the revocations of one replica. */
export const WATCHERS = scale('WATCHERS', 200, 2000);
/** Events in a trail that is verified. */
export const EVENTS = scale('EVENTS', 20_000, 1_000_000);
/** Pairs of calls of which the durations are compared; none: durations tell nothing on a busy machine. */
export const TIMING_PAIRS = scale('COUNTERSIGN_TEST_TIMING_PAIRS', 0, 2000);
/** How long (ms) a refresh token may be presented again, and outages of the database as multiples. */
export const GRACE_MS = scale('GRACE_MS', 5000, 10_000);
export const OUTAGES = isLong ? [0.3, 1.2, 4] : [1.5];
/** Windows in which hostile callers do what a seed says, how long each is, and how many call at once. */
export const FUZZ_WINDOWS = scale('FUZZ_WINDOWS', 1, 12);
export const FUZZ_WINDOW_MS = scale('FUZZ_WINDOW_MS', 3000, 5000);
export const FUZZ_LANES = scale('FUZZ_LANES', 6, 2);
export const FUZZ_SEED = scale('FUZZ_SEED', 1, Date.now() % 1_000_000);
/** Runs of Connect's conformance suite, for each way to serve. */
export const CONFORMANCE_RUNS = scale('CONFORMANCE_RUNS', 0, 1);
/** Orders in which a thief takes an account over, of 120. */
export const THIEF_ORDERS = scale('THIEF_ORDERS', 12, 120);
/** Whether all floods come, with the fast path off too, or one of each kind. */
export const EVERY_FLOOD = scale('EVERY_FLOOD', 0, 1) === 1;
/** Whether each key is tried on each method, also on those that no key opens. */
export const EVERY_KEY = scale('EVERY_KEY', 0, 1) === 1;
/** Rolling restarts of two replicas behind a proxy that passes 250 requests a second. */
export const ROLLING_RESTARTS = scale('ROLLING_RESTARTS', 0, 3);
/** Fail-overs of a Redis, half a minute each on a busy machine: of Sentinels and of a cluster, by a master that is frozen or killed. */
export const FAILOVERS = scale('FAILOVERS', 0, 4);
/** Whether all faults befall each dependency, or those that no other test tries. */
export const EVERY_FAULT = scale('EVERY_FAULT', 0, 1) === 1;
/** Fail-overs of a database by Patroni. */
export const PATRONI = scale('PATRONI', 0, 1);
/** Kinds of poolers: one that refuses settings, and one that ignores them. */
export const POOLERS = scale('POOLERS', 1, 2);
/** Minutes in which three tabs of a browser refresh one session. */
export const TAB_MINUTES = scale('TAB_MINUTES', 0, 10);
