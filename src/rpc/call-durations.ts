import { type Distribution, Durations } from '../platform/durations.ts';

/** How a call arrives, by the names of OpenTelemetry's semantic conventions as far as they go. */
export type CallSystem = 'grpc' | 'grpc_web' | 'connectrpc' | 'http';

const SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;
/** Stands for all unknown methods: callers can make up any number of names. */
const UNKNOWN = '_OTHER';

/** How long calls take, by how they arrive, method and code. */
export class CallDurations {
  readonly #durations = new Durations(SECONDS, ...CALL_LABELS);
  readonly #methods = new Set<string>();
  readonly #systems = new Map<CallSystem, SystemDurations>();

  /** Tells it which methods there are, as `package.Service/Method` or the path of an endpoint. */
  know(methods: Iterable<string>): void {
    for (const method of methods) this.#methods.add(method);
  }

  of(system: CallSystem): SystemDurations {
    let found = this.#systems.get(system);
    if (!found) {
      const find = (method: string, code: string) =>
        this.#durations.of(system, this.#methods.has(method) ? method : UNKNOWN, code);
      found = new SystemDurations(find);
      this.#systems.set(system, found);
    }
    return found;
  }

  get all(): Iterable<Distribution> {
    return this.#durations.all;
  }
}

export const CALL_LABELS = ['rpc_system_name', 'rpc_method', 'rpc_response_status_code'] as const;

/** The same for calls that arrive in one way. */
export class SystemDurations {
  readonly #find: (method: string, code: string) => Distribution;
  /** Those that are answered, which most are, by method. */
  readonly #answered = new Map<string, Distribution>();

  constructor(find: (method: string, code: string) => Distribution) {
    this.#find = find;
  }

  answered(method: string, ms: number): void {
    let found = this.#answered.get(method);
    if (!found) {
      found = this.#find(method, 'OK');
      this.#answered.set(method, found);
    }
    found.note(ms / 1000);
  }

  /** `code` in gRPC's own spelling. */
  failed(method: string, code: string, ms: number): void {
    this.#find(method, code).note(ms / 1000);
  }
}

/** How a call arrives whose headers have this content type. */
export function callSystem(contentType: string | undefined): CallSystem {
  if (!contentType?.startsWith('application/grpc')) return 'connectrpc';
  return contentType.startsWith('application/grpc-web') ? 'grpc_web' : 'grpc';
}
