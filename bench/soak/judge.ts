import { percentile } from '../report/statistics.ts';
import type { Fault } from './fault-plan.ts';

/** When a fault was there (ms after the start), until everything should be whole again. */
export type FaultWindow = { fault: Fault; from: number; until: number };

/** How a call failed. */
export type CallFailure = { code: string; reason: string; hasRetryInfo: boolean };

/** A call, from when it was due until it was answered (ms after the start). */
export type CallRecord = {
  kind: string;
  from: number;
  until: number;
  failure?: CallFailure | undefined;
};

/** Something that must never happen, with the words that say what it was. */
export type Loss = { what: string; at: number };

/** A revoked credential that was accepted: when it was revoked, and when the check of it began. */
export type Accepted = { what: string; revokedAt: number; checkedAt: number };

/** What was seen in a soak. */
export type Seen = {
  calls: readonly CallRecord[];
  windows: readonly FaultWindow[];
  /** Sessions and accounts that nobody has ended, and that are gone. */
  lost: readonly Loss[];
  accepted: readonly Accepted[];
  /** Revocations that a watcher was never told of. */
  untold: readonly Loss[];
};

/** Failures of one kind of call, counted. */
export type FailureCount = CallFailure & {
  kind: string;
  /** By the fault that explains them. */
  explained: Partial<Record<Fault, number>>;
  unexplained: number;
  /** When the first was that nothing explains. */
  firstUnexplainedAt?: number;
};

/** Durations (ms) of the calls of one kind that were answered. */
type Durations = { count: number; p50: number; p99: number };

type KindSummary = { kind: string; calls: number; quiet: Durations; faulty: Durations };

export type Verdict = {
  failures: FailureCount[];
  kinds: KindSummary[];
  acceptedLate: Accepted[];
  /** One sentence for each kind of thing that must not be; empty if the soak is passed. */
  problems: string[];
};

/** How long a revoked credential may be accepted: by what is promised, and while the database is away. */
export const BOUND_MS = 1000;
export const STALENESS_LIMIT_MS = 10_000;

/** The reason of a failure for which no answer arrived. */
export const NO_ANSWER = 'no answer';

/** Whether a fault explains a failure. What is not here must never fail. */
const EXPLAINS: Partial<Record<Fault, (failure: CallFailure) => boolean>> = {
  'database crashed': isAway,
  'database frozen': isAway,
  'replica killed': (failure) => failure.reason === NO_ANSWER,
  'rolling restart': ({ reason, hasRetryInfo }) => reason === 'SHUTTING_DOWN' && hasRetryInfo,
};

function isAway({ reason, hasRetryInfo }: CallFailure): boolean {
  return (reason === 'DEPENDENCY_UNAVAILABLE' || reason === 'OVERLOADED') && hasRetryInfo;
}

/** Says of everything that was seen whether it may be. */
export function judge(seen: Seen): Verdict {
  const failures = countedFailures(seen);
  const acceptedLate = seen.accepted.filter((each) => isLate(each, seen.windows));
  const unexplained = failures.reduce((sum, each) => sum + each.unexplained, 0);
  const problems = [
    sentence(unexplained, 'failed without a fault that explains it', 'call'),
    sentence(seen.lost.length, 'lost', 'session or account'),
    sentence(acceptedLate.length, 'accepted later than the bound', 'revoked credential'),
    sentence(seen.untold.length, 'never told to a watcher', 'revocation'),
    ...(seen.calls.length === 0 ? ['no call was made'] : []),
  ].flatMap((each) => each ?? []);
  return { failures, kinds: summaries(seen), acceptedLate, problems };
}

function sentence(count: number, what: string, noun: string): string | undefined {
  return count === 0 ? undefined : `${count} × ${noun} ${what}`;
}

function windowsOf(
  { from, until }: { from: number; until: number },
  windows: readonly FaultWindow[],
) {
  return windows.filter((window) => from < window.until && until > window.from);
}

function countedFailures({ calls, windows }: Seen): FailureCount[] {
  const counts = new Map<string, FailureCount>();
  for (const call of calls) {
    const { kind, failure } = call;
    if (!failure) continue;
    const key = JSON.stringify([kind, failure]);
    const count = counts.get(key) ?? { kind, ...failure, explained: {}, unexplained: 0 };
    counts.set(key, count);
    const by = windowsOf(call, windows).find(({ fault }) => EXPLAINS[fault]?.(failure));
    if (by) {
      count.explained[by.fault] = (count.explained[by.fault] ?? 0) + 1;
    } else {
      count.unexplained += 1;
      count.firstUnexplainedAt ??= call.from;
    }
  }
  return [...counts.values()].toSorted((a, b) => b.unexplained - a.unexplained);
}

/** While the database is away, a replica trusts its memory for as long as it is configured to. */
function isLate({ revokedAt, checkedAt }: Accepted, windows: readonly FaultWindow[]): boolean {
  const meanwhile = windowsOf({ from: revokedAt, until: checkedAt }, windows);
  const isAway = meanwhile.some(({ fault }) => fault.startsWith('database'));
  return checkedAt - revokedAt >= BOUND_MS + (isAway ? STALENESS_LIMIT_MS : 0);
}

function summaries({ calls, windows }: Seen): KindSummary[] {
  const kinds = Map.groupBy(calls, ({ kind }) => kind);
  return [...kinds].map(([kind, all]) => {
    const answered = all.filter(({ failure }) => !failure);
    const { quiet = [], faulty = [] } = Object.groupBy(answered, (call) =>
      windowsOf(call, windows).length > 0 ? 'faulty' : 'quiet',
    );
    return { kind, calls: all.length, quiet: durations(quiet), faulty: durations(faulty) };
  });
}

function durations(calls: readonly CallRecord[]): Durations {
  const all = calls.map(({ from, until }) => until - from);
  const at = (part: number) => (all.length === 0 ? 0 : percentile(all, part));
  return { count: all.length, p50: at(0.5), p99: at(0.99) };
}
