import type { HandlerContext } from '@connectrpc/connect';
import { ApiKeyService } from '../../../gen/countersign/v1/api_key_service_pb.ts';
import { SessionService } from '../../../gen/countersign/v1/session_service_pb.ts';
import { Authorization } from '../../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import {
  Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../gen/grpc/health/v1/health_pb.ts';
import { Failure } from '../../platform/failure.ts';
import type { Serves } from '../../platform/readiness.ts';
import { shuttingDown } from '../failures.ts';
import type { Limits } from '../limits.ts';
import { type Service, service } from '../services/service.ts';
import { HealthWatchers } from './health-watchers.ts';

/** The server as a whole, by its name, and the services with checks that need no database. */
const FROM_MEMORY: ReadonlySet<string> = new Set([
  '',
  ...[SessionService, ApiKeyService, Authorization].map(({ typeName }) => typeName),
]);

/**
 * `grpc.health.v1`: while a replica answers from memory only, it serves the server as a whole, whose name is
 * empty, and the services that check credentials; otherwise all services are alike. Anyone may ask.
 */
export class HealthService {
  readonly service: Service;
  readonly #names: ReadonlySet<string>;
  readonly #watchers: HealthWatchers;
  readonly #repeatMs: number;
  #serves: Serves = 'nothing';
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
  setServing(serves: Serves): void {
    if (serves === this.#serves) return;
    this.#serves = serves;
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
    const statuses = [...this.#names].map((name) => [name, { status: this.#statusOf(name) }]);
    return { statuses: Object.fromEntries(statuses) };
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
    if (!this.#names.has(name)) return Status.SERVICE_UNKNOWN;
    const isServed =
      this.#serves === 'everything' || (this.#serves === 'from memory' && FROM_MEMORY.has(name));
    return isServed ? Status.SERVING : Status.NOT_SERVING;
  }
}
