import { randomUUID } from 'node:crypto';
import {
  type ConnectError,
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
} from '@connectrpc/connect';
import type { Caller } from '../platform/caller.ts';
import type { Failure } from '../platform/failure.ts';
import { Networks } from '../platform/networks.ts';
import type { Principal } from '../sessions/principal.ts';
import type { CallDurations, CallSystem, SystemDurations } from './call-durations.ts';
import {
  type CallerAddress,
  directAddress,
  forwardedAddress,
  plainAddress,
} from './caller-address.ts';
import type { Hold } from './caller-connection.ts';
import type { RateStatus } from './rate-headers.ts';

/** The header by which a page asks that its browser keep the refresh token. */
export const SESSION_MODE = 'x-countersign-session';

/** What is known of one call, whichever listener it arrived at. The interceptors fill it in. */
export type Call = Readonly<CallerAddress> & {
  readonly requestId: string;
  /** The address of the connection, whatever forwarding headers say. */
  readonly peerAddress: string;
  /** The header `traceparent`, if it names a trace. */
  readonly traceparent: string | undefined;
  /** Of the trace that it belongs to. */
  traceId: string | undefined;
  readonly userAgent: string;
  readonly languages: string;
  readonly startedAt: number;
  /** How it arrives. */
  readonly system: CallSystem;
  /** The histograms that its duration is counted in. */
  readonly durations: SystemDurations;
  /** The `authorization` header as it is, or `x-api-key` in the form of one. */
  readonly credential: string | undefined;
  /** The header `x-countersign-session`, as it is; of the HTTP listener alone. */
  sessionMode: string | undefined;
  /** Whether its caller asks for clients of its own. If it may not, its operator should know. */
  asksForOthers: boolean;
  /** Whether it has reached the interceptors: if not, the listener completes and logs its answer. */
  intercepted: boolean;
  /** How long it may take, if its caller or the service limits it. */
  timeLimitMs: number | undefined;
  /** The error with which the listener itself answered, past the interceptors. */
  answered: ConnectError | undefined;
  principal: Principal | undefined;
  /** Why its credential was refused, if it was. */
  refusal: Failure | undefined;
  /** What is left of the limits that count it, if any do. */
  rateLimits: readonly RateStatus[] | undefined;
  /** What its caller holds while the service waits for them, if that is counted. */
  hold: Hold | undefined;
};

const callKey = createContextKey<Call | undefined>(undefined, { description: 'call' });

/** What interceptors and handlers may leave for each other: the call, and rarely anything else. */
class CallValues implements ContextValues {
  readonly #call: Call;
  #others: ContextValues | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  get<T>(key: ContextKey<T>): T {
    if (key.id === callKey.id) return this.#call as T;
    return this.#others ? this.#others.get(key) : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): this {
    this.#others ??= createContextValues();
    this.#others.set(key, value);
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    this.#others?.delete(key);
    return this;
  }
}

export function contextOf(call: Call): ContextValues {
  return new CallValues(call);
}

export function callOf(values: ContextValues): Call {
  const call = values.get(callKey);
  if (!call) throw new Error('the listener did not begin this call');
  return call;
}

const NO_PERMISSIONS: readonly string[] = [];
const NOBODY: Caller['actors'] = [];

/** Who makes the call, as use cases know it. */
export function callerOf(context: { values: ContextValues; signal: AbortSignal }): Caller {
  const call = callOf(context.values);
  const { requestId, ipAddress, addressIsCertain, userAgent, principal, sessionMode } = call;
  return {
    requestId,
    ipAddress,
    addressIsCertain,
    userAgent,
    languages: call.languages,
    inBrowser: sessionMode !== undefined,
    signal: context.signal,
    kind: principal?.type ?? 'anonymous',
    subject: principal?.subject ?? '',
    sessionId: principal?.sessionId ?? '',
    apiKeyId: principal?.apiKeyId ?? '',
    actors: principal?.actors ?? NOBODY,
    permissions: principal?.permissions ?? NO_PERMISSIONS,
  };
}

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;
/** W3C Trace Context, section 3.2. */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** Reads a request header by its name in lower case. */
type ReadHeader = (name: string) => string | undefined;

/** Begins calls: finds each one's request id, its trace, and the address that it comes from. */
export class CallFactory {
  readonly #trustedProxies: Networks;
  readonly #durations: CallDurations;

  constructor(trustedProxies: readonly string[], durations: CallDurations) {
    this.#trustedProxies = new Networks(trustedProxies);
    this.#durations = durations;
  }

  /** `peer` is the address of the connection, `system` how the call arrives. */
  begin(header: ReadHeader, peer: string | undefined, system: CallSystem): Call {
    const requestId = header('x-request-id');
    const traceparent = header('traceparent');
    const traceId = TRACEPARENT.exec(traceparent ?? '')?.[1];
    const peerAddress = plainAddress(peer ?? '');
    const { ipAddress, addressIsCertain, countedAs } = this.addressOf(header, peerAddress);
    return {
      requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
      traceparent: traceId === undefined ? undefined : traceparent,
      traceId,
      peerAddress,
      ipAddress,
      addressIsCertain,
      countedAs,
      userAgent: header('user-agent') ?? '',
      languages: header('accept-language') ?? '',
      startedAt: performance.now(),
      system,
      durations: this.#durations.of(system),
      credential: header('authorization') ?? apiKeyCredential(header('x-api-key')),
      sessionMode: undefined,
      asksForOthers: false,
      intercepted: false,
      timeLimitMs: undefined,
      answered: undefined,
      principal: undefined,
      refusal: undefined,
      rateLimits: undefined,
      hold: undefined,
    };
  }

  /** The address of whoever sent a request over a connection from this address. */
  addressOf(header: ReadHeader, connection: string): CallerAddress {
    const xForwardedFor = header('x-forwarded-for');
    const forwarded = header('forwarded');
    const isForwarded = xForwardedFor !== undefined || forwarded !== undefined;
    if (!isForwarded || !this.#trustedProxies.includes(connection)) {
      return directAddress(connection, isForwarded);
    }
    return forwardedAddress({ xForwardedFor, forwarded }, connection, this.#trustedProxies);
  }
}

function apiKeyCredential(secret: string | undefined): string | undefined {
  return secret === undefined ? undefined : `ApiKey ${secret}`;
}
