import { randomBytes } from 'node:crypto';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { refusal } from '../../test/harness/refusal.ts';
import { type CallFailure, NO_ANSWER } from './judge.ts';

/** Clients of one replica. */
export type Door = ReturnType<typeof doorTo>;

export type Addresses = { grpc: string; http: string };

/** What is only read is called again after `UND_ERR_SOCKET` too: see RFC 9112, 9.3.1. */
const NOT_TAKEN = new Set(['ECONNREFUSED', 'EPIPE', 'UND_ERR_SOCKET']);
/** How long a call may take (ms). */
const TIMEOUT_MS = 10_000;

/** Opens no connection yet. */
export function doorTo({ grpc, http }: Addresses) {
  const baseUrl = `http://${http}`;
  const byGrpc = createGrpcTransport({
    baseUrl: `http://${grpc}`,
    defaultTimeoutMs: TIMEOUT_MS,
  });
  // Streams have no deadline.
  const streaming = createGrpcTransport({ baseUrl: `http://${grpc}` });
  const byJson = createConnectTransport({
    baseUrl,
    httpVersion: '1.1',
    useBinaryFormat: false,
    defaultTimeoutMs: TIMEOUT_MS,
  });
  return {
    ...clients(byGrpc),
    json: clients(byJson),
    streams: clients(streaming).sessions,
    /** Asks like a proxy about a request with this credential. */
    async verify(token: string): Promise<void> {
      const response = await fetch(`${baseUrl}/verify`, {
        headers: {
          authorization: `Bearer ${token}`,
          'x-forwarded-method': 'GET',
          'x-forwarded-uri': '/orders',
        },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      if (response.status !== 200) throw new RefusedByHttp(response, text);
    },
  };
}

function clients(transport: Transport) {
  return {
    auth: createClient(AuthService, transport),
    sessions: createClient(SessionService, transport),
    keys: createClient(ApiKeyService, transport),
    accounts: createClient(AccountService, transport),
    admin: createClient(AdminService, transport),
    webhooks: createClient(WebhookService, transport),
  };
}

class RefusedByHttp extends Error {
  readonly failure: CallFailure;

  constructor(response: Response, text: string) {
    super(`HTTP ${response.status}: ${text}`);
    // Its text says so in words.
    const reason = response.status === 503 ? 'DEPENDENCY_UNAVAILABLE' : text.trim().slice(0, 40);
    const hasRetryInfo = response.headers.has('retry-after');
    this.failure = { code: `HTTP ${response.status}`, reason, hasRetryInfo };
  }
}

/** Says how a call failed, by what its caller got. */
export async function failureOf(thrown: unknown): Promise<CallFailure> {
  if (thrown instanceof RefusedByHttp) return thrown.failure;
  const isOfRpc = thrown instanceof ConnectError;
  const lost = systemCode(thrown);
  if (!isOfRpc) {
    return { code: lost ?? String(thrown), reason: lost ? NO_ANSWER : '', hasRetryInfo: false };
  }
  const { code, reason, retryAfterMs, requestId, message } = await refusal(Promise.reject(thrown));
  const isLost = reason === undefined && (lost !== undefined || requestId === undefined);
  return {
    code: isLost ? `${Code[code]} ${lost ?? message}` : (Code[code] ?? String(code)),
    reason: isLost ? NO_ANSWER : (reason ?? ''),
    hasRetryInfo: retryAfterMs !== undefined,
  };
}

/**
 * Whether no replica has taken the call: nobody listens, the connection was closed before, or the server has
 * refused the stream (RFC 9113, 8.7). A load balancer then tries the next replica.
 */
export function isNotTaken(thrown: unknown): boolean {
  const isRefused = thrown instanceof Error && thrown.message.includes('NGHTTP2_REFUSED_STREAM');
  return isRefused || NOT_TAKEN.has(systemCode(thrown) ?? '');
}

/** The code of the operating system's error behind an error, if there is one. */
function systemCode(thrown: unknown): string | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const code = 'code' in error ? error.code : undefined;
    if (typeof code === 'string' && /^(E[A-Z]+|UND_ERR_\w+)$/.test(code)) return code;
  }
  return undefined;
}

/** As if each call came from somewhere else, through a proxy: limits by address then never refuse. */
export function fromAnywhere(): Record<string, string> {
  return { 'x-forwarded-for': `10.${[...randomBytes(3)].join('.')}` };
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
