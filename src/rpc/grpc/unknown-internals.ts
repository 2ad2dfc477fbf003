import grpcJs from '@grpc/grpc-js/package.json' with { type: 'json' };
import type { Log } from '../../platform/log.ts';
import { KNOWN_VERSIONS } from './node-internals.ts';

/** What the service does without if an internal of grpc-js or Node is not as it is known. */
const CONSEQUENCES = {
  http2ServerOptions:
    'no limits on the size and number of headers, and on the time of TLS handshakes',
  http2Servers:
    'no fast path for unary calls, no limits on silent connections and streams, methods other than POST, no grace for deadlines that cannot be read',
  streamCounter: 'no fast path for unary calls',
  methodHandlers: 'no error details in the answers to unknown methods',
  innermostCall:
    'no error details if grpc-js itself refuses a call, and no limit on the time of a request',
  messages: 'no refusal of messages with odd flags',
  decoder:
    'no refusal of messages that are cut off, and more memory for those that come in small pieces',
  session: 'more work for the garbage collector',
} as const;

type Internal = keyof typeof CONSEQUENCES;

/** Collects the internals that differ from what is known, and reports them all in one log line. */
export class UnknownInternals {
  readonly #log: Log;
  readonly #found = new Set<Internal>();
  #isSaid = false;

  constructor(log: Log) {
    this.#log = log;
  }

  add(internal: Internal): void {
    if (this.#found.has(internal)) return;
    this.#found.add(internal);
    // Some internals show only when there is a call.
    if (this.#isSaid) this.#say([internal]);
  }

  /** Call it when everything that exists before the first call has been checked. */
  say(): void {
    this.#isSaid = true;
    if (this.#found.size > 0) this.#say([...this.#found]);
  }

  #say(internals: readonly Internal[]): void {
    this.#log.warn(
      {
        component: 'grpc',
        problems: internals.map((each) => `${each}: ${CONSEQUENCES[each]}`),
        version: `grpc-js ${grpcJs.version} on node ${process.versions.node}`,
      },
      `grpc-js or node:http2 differs from the versions that are known (grpc-js ${KNOWN_VERSIONS.grpcJs}, node ${KNOWN_VERSIONS.node}): gRPC is served in its plain way`,
    );
  }
}
