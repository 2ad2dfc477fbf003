import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  type IBackoff,
} from 'cockatiel';
import type { Log } from './log.ts';

/** `open`: nothing is asked of it. `half-open`: the next question decides. */
export type BreakerState = 'closed' | 'half-open' | 'open';

type BreakerOptions = {
  /** How many faults in a row open it. */
  faults: number;
  /** How long (ms) what it protects us from is left alone then. */
  restMs: number;
  /** Whether an error is a fault of what we depend on: others neither open it nor keep it open. */
  isFault?: (error: unknown) => boolean;
  /** Called when it opens, not each time that a question has failed again. */
  onOpen?: () => void;
};

/**
 * Leaves what we depend on alone once it has failed several times in a row, so that nobody waits for it
 * (W13). After a rest one question is let through, and decides. Both turns are logged, once each.
 */
export class Breaker {
  /** What it stands in front of: the label of a metric, so never a URL or an address. */
  readonly dependency: string;
  readonly #policy: CircuitBreakerPolicy;
  #restsUntil = 0;

  constructor(dependency: string, options: BreakerOptions, log: Log) {
    const { faults, restMs, isFault, onOpen } = options;
    this.dependency = dependency;
    const rest = (): IBackoff<unknown> => {
      this.#restsUntil = performance.now() + restMs;
      return { duration: Number.NEGATIVE_INFINITY, next: rest };
    };
    this.#policy = circuitBreaker(handleWhen(isFault ?? (() => true)), {
      halfOpenAfter: { next: rest },
      breaker: new ConsecutiveBreaker(faults),
    });
    let isAnnounced = false;
    this.#policy.onBreak(() => {
      if (isAnnounced) return;
      isAnnounced = true;
      log.warn({ component: 'breaker', dependency }, 'left alone: it failed again and again');
      onOpen?.();
    });
    this.#policy.onReset(() => {
      isAnnounced = false;
      log.info({ component: 'breaker', dependency }, 'answers again');
    });
  }

  get state(): BreakerState {
    if (this.#policy.state === CircuitState.Closed) return 'closed';
    return this.#isResting ? 'open' : 'half-open';
  }

  /** Runs `work`, or throws at once while it is open or somebody else's question is deciding. */
  async run<T>(work: () => Promise<T> | T): Promise<T> {
    const { state } = this.#policy;
    if (state === CircuitState.HalfOpen || (state === CircuitState.Open && this.#isResting)) {
      throw new BrokenCircuitError();
    }
    return this.#policy.execute(work);
  }

  /** By a clock that nobody sets, which the library's is not. */
  get #isResting(): boolean {
    return performance.now() < this.#restsUntil;
  }
}

/** Whether nothing was asked, because what would have been is left alone. */
export function isLeftAlone(error: unknown): boolean {
  return error instanceof BrokenCircuitError;
}

/** Every breaker of this replica. */
export class Breakers {
  readonly #log: Log;
  readonly #all = new Set<Breaker>();

  constructor(log: Log) {
    this.#log = log;
  }

  add(dependency: string, options: BreakerOptions): Breaker {
    const breaker = new Breaker(dependency, options, this.#log);
    this.#all.add(breaker);
    return breaker;
  }

  /** For what is configured no more. */
  remove(breaker: Breaker): void {
    this.#all.delete(breaker);
  }

  /** The state of each dependency; the worst one if several breakers share a name. */
  states(): ReadonlyMap<string, BreakerState> {
    const worst = new Map<string, BreakerState>();
    for (const { dependency, state } of this.#all) {
      if (SEVERITY[state] >= SEVERITY[worst.get(dependency) ?? 'closed']) {
        worst.set(dependency, state);
      }
    }
    return worst;
  }
}

const SEVERITY = { closed: 0, 'half-open': 1, open: 2 } as const satisfies Record<
  BreakerState,
  number
>;
