import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js';
import { requestIdOf } from './details.ts';
import type { Admitted, Gate } from './gate.ts';
import { statusOf } from './grpc-status.ts';
import { plainAddress } from './http-request.ts';
import type { Principal } from './principal.ts';
import type { OpenStreams } from './streams.ts';

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

type Guard = {
  readonly gate: Gate;
  readonly streams: OpenStreams;
  readonly clientAddress:
    | ((metadata: Metadata, peer: string | undefined) => string | undefined)
    | undefined;
  readonly path: string;
  readonly isStream: boolean;
};

/**
 * On the metadata of a call, which is all that a handler shares with an interceptor: a `WeakMap` would
 * cost every call more.
 */
const PRINCIPAL = Symbol('principal');
type Marked = Metadata & { [PRINCIPAL]?: Principal };

/** The principal that was admitted with this metadata. */
export function principalIn(metadata: Metadata): Principal | undefined {
  return (metadata as Marked)[PRINCIPAL];
}

/**
 * A call whose handler hears of it once it is admitted, and which can be ended at any moment, after which its
 * handler sends nothing more. It is the call for what the handler sends, and the listener for what the client
 * does: with grpc-js's builders each call would make a dozen functions more.
 */
export class GuardedCall extends ServerInterceptingCall implements Listener {
  readonly #call: ServerInterceptingCallInterface;
  readonly #guard: Guard;
  #handler: Listener | undefined;
  /** What arrives before the handler has heard of the call; undefined once it has. */
  #early: (() => void)[] | undefined = [];
  /** Nothing more is sent. */
  #isOver = false;
  #isCancelled = false;
  /** Runs when the call ends by itself. */
  #leave: (() => void) | undefined;

  constructor(call: ServerInterceptingCallInterface, guard: Guard) {
    super(call);
    this.#call = call;
    this.#guard = guard;
  }

  override start(handler: Listener): void {
    this.#handler = handler;
    this.#call.start(this);
  }

  onReceiveMetadata(metadata: Metadata): void {
    const { gate, path, clientAddress } = this.#guard;
    const peer = plainAddress(this.#call.getConnectionInfo().remoteAddress);
    const ipAddress = clientAddress ? clientAddress(metadata, peer) : peer;
    const read = (name: string) => metadata.get(name).map(String);
    try {
      const admitted = gate.admit(path, read, { ipAddress });
      if ('then' in admitted) this.#enterLater(admitted, metadata);
      else this.#enter(admitted, metadata);
    } catch (error) {
      this.#refuse(error, metadata);
    }
  }

  onReceiveMessage(message: unknown): void {
    if (this.#early) this.#early.push(() => this.#handler?.onReceiveMessage(message));
    else if (!this.#isCancelled) this.#handler?.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    if (this.#early) this.#early.push(() => this.#handler?.onReceiveHalfClose());
    else if (!this.#isCancelled) this.#handler?.onReceiveHalfClose();
  }

  /** At the end of every call, however it ends. */
  onCancel(): void {
    this.#isCancelled = true;
    this.#end();
    this.#handler?.onCancel();
  }

  override sendMetadata(metadata: Metadata): void {
    if (!this.#isOver) this.#call.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    if (!this.#isOver) this.#call.sendMessage(message, callback);
  }

  override sendStatus(status: Status): void {
    if (this.#isOver) return;
    this.#end();
    this.#call.sendStatus(status);
  }

  #enterLater(admitted: Promise<Admitted>, metadata: Metadata): void {
    admitted
      .then((it) => this.#enter(it, metadata))
      .catch((error) => this.#refuse(error, metadata));
  }

  #enter({ principal, stream }: Admitted, metadata: Metadata): void {
    if (this.#isOver) return;
    if (principal) (metadata as Marked)[PRINCIPAL] = principal;
    if (this.#guard.isStream && stream) {
      const end = (error: unknown) => this.#refuse(error, metadata);
      this.#leave = this.#guard.streams.add({ ...stream, end });
    }
    this.#handler?.onReceiveMetadata(metadata);
    for (const arrive of this.#early ?? []) if (!this.#isCancelled) arrive();
    this.#early = undefined;
  }

  #refuse(error: unknown, metadata: Metadata): void {
    if (this.#isOver) return;
    this.#end();
    const [header] = metadata.get('x-request-id');
    const requestId = requestIdOf(typeof header === 'string' ? header : undefined);
    this.#call.sendStatus(statusOf(error, requestId));
  }

  #end(): void {
    this.#isOver = true;
    this.#leave?.();
  }
}
