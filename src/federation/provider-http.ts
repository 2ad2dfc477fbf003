import type { CustomFetch, CustomFetchOptions } from 'openid-client';
import { boundedBody } from '../platform/bounded-body.ts';
import { type Breaker, type Breakers, isLeftAlone } from '../platform/breakers.ts';

const REQUEST_MS = 3000;
const FAULTS_TO_OPEN = 5;
const REST_MS = 1500;
const MAX_BYTES = 64 * 1024;
/** Discovery documents and key sets, which are the larger ones. */
const MAX_METADATA_BYTES = 256 * 1024;

/** A provider did not answer, or not with anything that can be read. The message quotes nothing of it. */
export class ProviderFault extends Error {
  override readonly name = 'ProviderFault';
}

/** What a provider says of one person is too long to be read: it may well be fine for everyone else. */
class LongAnswer extends ProviderFault {}

/**
 * The requests to one provider. Each has 3 seconds for its whole answer and a limit to its size, and follows
 * no redirect. After five faults in a row the provider is left alone for a while (W13). An answer that
 * refuses, or one about a person that is too long, doesn't count: anyone can cause one.
 */
export class ProviderHttp {
  readonly #breaker: Breaker;

  constructor(breaker: Breaker) {
    this.#breaker = breaker;
  }

  /**
   * The `fetch` of one exchange, which has to be over when `deadline` fires. If `caller` goes away, that
   * says nothing about the provider, and the caller's reason is thrown.
   */
  fetchWithin(deadline: AbortSignal, caller?: AbortSignal): CustomFetch {
    return (url, options) => this.#breaker.run(() => request(url, options, deadline, caller));
  }
}

/** The breaker of a provider, of which the operator has chosen the id. */
export function providerBreaker(breakers: Breakers, id: string): Breaker {
  const options = { faults: FAULTS_TO_OPEN, restMs: REST_MS, isFault: isOutage };
  return breakers.add(`provider:${id}`, options);
}

/** Whether an error comes from a provider that can't be reached or read, and not from what it said. */
export function isProviderFault(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof ProviderFault || isLeftAlone(at)) return true;
  }
  return false;
}

function isOutage(error: unknown): boolean {
  return error instanceof ProviderFault && !(error instanceof LongAnswer);
}

async function request(
  url: string,
  { method, headers, body, redirect, signal }: CustomFetchOptions,
  deadline: AbortSignal,
  caller: AbortSignal | undefined,
): Promise<Response> {
  const limits = [AbortSignal.timeout(REQUEST_MS), deadline, signal, caller];
  const isMetadata = method === 'GET' && !('authorization' in headers);
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect,
      signal: AbortSignal.any(limits.filter((limit) => limit !== undefined)),
      ...(body === undefined ? {} : { body }),
    });
    if (!isReadable(response.status)) {
      await response.body?.cancel();
      throw new ProviderFault(`status ${response.status}`);
    }
    const bytes = await bytesOf(response, isMetadata);
    if (response.ok && !isJwt(response) && !isJson(bytes)) throw new ProviderFault('not JSON');
    return new Response(bytes, response);
  } catch (error) {
    caller?.throwIfAborted();
    throw error instanceof ProviderFault ? error : new ProviderFault('no answer', { cause: error });
  }
}

/** Not an error of the provider's own, an overload, a redirect, or an answer without a body. */
function isReadable(status: number): boolean {
  return status === 200 || (status >= 400 && status < 500 && status !== 429);
}

/** Userinfo may be signed. */
function isJwt({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('application/jwt') === true;
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

async function bytesOf(response: Response, isMetadata: boolean): Promise<Buffer<ArrayBuffer>> {
  const body = await boundedBody(response, isMetadata ? MAX_METADATA_BYTES : MAX_BYTES);
  if (body) return body;
  throw isMetadata ? new ProviderFault('too long') : new LongAnswer('too long');
}
