import type { HandlerContext } from '@connectrpc/connect';
import {
  Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../gen/grpc/health/v1/health_pb.ts';
import { Failure } from '../../platform/failure.ts';
import { shuttingDown } from '../failures.ts';
import type { Limits } from '../limits.ts';
import { type Service, service } from '../services/service.ts';
import { HealthWatchers } from './health-watchers.ts';

/**
 * `grpc.health.v1`: what it says of each of our services is the same, and what it says of the server as
 * a whole, whose name is empty. Anyone may ask.
 */
export class HealthService {
  readonly service: Service;
  readonly #names: ReadonlySet<string>;
  readonly #watchers: HealthWatchers;
  readonly #repeatMs: number;
  #status: Status = Status.NOT_SERVING;
  #isClosed = false;

  constructor(names: readonly string[], limits: Limits) {
    this.#names = new Set(['', ...names]);
    this.#watchers = new HealthWatchers(limits);
    // If nothing moves on a stream for longer, its caller counts as gone.
    this.#repeatMs = limits.streamIdleMs / 2;
    this.service = service(Health, {
      check: (request) => this.#check(request),
      list: () => this.#list(),
      watch: (request, context) => this.#watch(request, context),
    });
  }

  /** Watchers are told only if it has changed. */
  setServing(isServing: boolean): void {
    const status = isServing ? Status.SERVING : Status.NOT_SERVING;
    if (status === this.#status) return;
    this.#status = status;
    this.#watchers.wake();
  }

  /** Ends what is watched: the other listeners' streams also end when the replica stops (W04). */
  close(): void {
    this.#isClosed = true;
    this.#watchers.wake();
  }

  #check({ service: name }: HealthCheckRequest) {
    const status = this.#statusOf(name);
    if (status !== Status.SERVICE_UNKNOWN) return { status };
    throw new Failure('not_found', 'NOT_FOUND', 'there is no service of this name');
  }

  #list() {
    const status = this.#status;
    return { statuses: Object.fromEntries([...this.#names].map((name) => [name, { status }])) };
  }

  async *#watch({ service: name }: HealthCheckRequest, context: HandlerContext) {
    const { signal } = context;
    const watcher = this.#watchers.enter(context);
    let told: Status | undefined;
    let repeatAt = 0;
    try {
      while (!signal.aborted) {
        if (this.#isClosed) throw shuttingDown();
        const status = this.#statusOf(name);
        const dueMs = repeatAt - performance.now();
        if (status === told && dueMs > 0) {
          await watcher.wait(dueMs);
          continue;
        }
        told = status;
        repeatAt = performance.now() + this.#repeatMs;
        yield { status };
      }
    } finally {
      watcher.leave();
    }
  }

  #statusOf(name: string): Status {
    return this.#names.has(name) ? this.#status : Status.SERVICE_UNKNOWN;
  }
}
