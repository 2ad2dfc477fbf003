import { randomUUID } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
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

/** What is known of one call, whichever listener it came in by. The interceptors fill it in. */
export type Call = {
  readonly requestId: string;
  readonly traceId: string | undefined;
  readonly ipAddress: string;
  /** Whether nobody stands between us and that address whom we can't trust to name it. */
  readonly addressIsCertain: boolean;
  readonly startedAt: number;
  /** The `authorization` header, as it came, or what `x-api-key` says in the form of one. */
  readonly credential: string | undefined;
  /** Whether the interceptors have had it: otherwise the listener completes and logs its answer. */
  intercepted: boolean;
  /** How long it may take, where it is limited: by its caller or by us. */
  timeLimitMs: number | undefined;
  /** The error that the listener answered with by itself, over the heads of the interceptors. */
  answered: ConnectError | undefined;
  principal: Principal | undefined;
  /** Why the credential that came with the call was refused, if one came. */
  refusal: Failure | undefined;
};

const callKey = createContextKey<Call | undefined>(undefined, { description: 'call' });

/** What interceptors and handlers may leave for each other, which is a call and rarely more. */
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
  if (!call) throw new Error('a call came by a listener that did not begin it');
  return call;
}

/** The part of a call that use cases may know. */
export function callerOf(context: {
  values: ContextValues;
  requestHeader: Headers;
  signal: AbortSignal;
}): Caller {
  const { requestId, ipAddress, principal } = callOf(context.values);
  const userAgent = context.requestHeader.get('user-agent') ?? '';
  return { requestId, ipAddress, userAgent, signal: context.signal, principal };
}

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;
/** W3C Trace Context, section 3.2. */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** Begins calls: gives each its request id, its trace, and the address that it comes from. */
export class CallFactory {
  readonly #trustedProxies: Networks;

  constructor(trustedProxies: readonly string[]) {
    this.#trustedProxies = new Networks(trustedProxies);
  }

  /** `header` reads a request header in lower case; `peer` is the address of the connection. */
  begin(header: (name: string) => string | undefined, peer: string | undefined): Call {
    const requestId = header('x-request-id');
    const connection = plainAddress(peer ?? '');
    const forwarded = header('x-forwarded-for');
    const proxied = this.#trustedProxies.includes(connection);
    return {
      requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
      traceId: TRACEPARENT.exec(header('traceparent') ?? '')?.[1],
      ipAddress:
        forwarded !== undefined && proxied ? this.#client(forwarded, connection) : connection,
      addressIsCertain: proxied || (forwarded === undefined && header('forwarded') === undefined),
      startedAt: performance.now(),
      credential: header('authorization') ?? apiKeyCredential(header('x-api-key')),
      intercepted: false,
      timeLimitMs: undefined,
      answered: undefined,
      principal: undefined,
      refusal: undefined,
    };
  }

  /** The last address in the list that no trusted proxy of ours has: who spoke to them. */
  #client(forwarded: string, connection: string): string {
    let client = connection;
    for (const hop of forwarded.split(',').reverse()) {
      const address = plainAddress(hop.trim());
      if (!isIPv4(address) && !isIPv6(address)) return client;
      client = address;
      if (!this.#trustedProxies.includes(address)) return client;
    }
    return client;
  }
}

function apiKeyCredential(secret: string | undefined): string | undefined {
  return secret === undefined ? undefined : `ApiKey ${secret}`;
}

/** An IPv4 address that came mapped into IPv6 (RFC 4291, section 2.5.5.2) as itself. */
function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
