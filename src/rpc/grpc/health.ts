import type { HandlerContext } from '@connectrpc/connect';
import {
  Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../gen/health/v1/health_pb.ts';
import { Failure } from '../../platform/failure.ts';
import { type Service, service } from '../services/service.ts';

/** `grpc.health.v1`, about the given services and the server as a whole, which has no name. */
export class HealthService {
  readonly service: Service;
  readonly #names: ReadonlySet<string>;
  #status: Status = Status.NOT_SERVING;
  #changed = Promise.withResolvers<void>();

  constructor(names: readonly string[]) {
    this.#names = new Set(['', ...names]);
    this.service = service(Health, {
      check: (request) => ({ status: this.#checked(request) }),
      watch: (request, context) => this.#watch(request, context),
      list: () => ({
        statuses: Object.fromEntries(
          [...this.#names].map((name) => [name, { status: this.#status }]),
        ),
      }),
    });
  }

  /** Tells watchers if it is news. */
  setServing(serving: boolean): void {
    const status = serving ? Status.SERVING : Status.NOT_SERVING;
    if (status === this.#status) return;
    this.#status = status;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #checked({ service: name }: HealthCheckRequest): Status {
    if (this.#names.has(name)) return this.#status;
    throw new Failure('not_found', 'NOT_FOUND', 'there is no service of this name');
  }

  async *#watch({ service: name }: HealthCheckRequest, { signal }: HandlerContext) {
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => {});
    signal.addEventListener('abort', () => gone.reject(signal.reason), { once: true });
    const isKnown = this.#names.has(name);
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      yield { status: isKnown ? this.#status : Status.SERVICE_UNKNOWN };
      await Promise.race([isKnown ? changed : gone.promise, gone.promise]);
    }
  }
}
