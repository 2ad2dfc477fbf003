import { create } from '@bufbuild/protobuf';
import type { LRUCache } from 'lru-cache';
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption,
  HeaderValueOptionSchema,
} from '../../../gen/envoy/config/core/v3/base_pb.ts';
import {
  type CheckResponse,
  CheckResponseSchema,
} from '../../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { StatusCode } from '../../../gen/envoy/type/v3/http_status_pb.ts';
import { StatusSchema } from '../../../gen/google/rpc/status_pb.ts';
import { denialAnswer } from '../../mesh/denial-answer.ts';
import { CREDENTIAL_HEADERS, identityOf, NOBODY } from '../../mesh/identity.ts';
import type { Denial } from '../../mesh/judge-request.ts';
import { lruCache } from '../../platform/lru-cache.ts';
import type { Principal } from '../../sessions/principal.ts';
import { keepAnswer } from './kept-answer.ts';

type Allowed = { principal: Principal | undefined; token: string };
type Kept = { token: string; message: CheckResponse };

const CODES = {
  401: StatusCode.Unauthorized,
  403: StatusCode.Forbidden,
  429: StatusCode.TooManyRequests,
} as const;

const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;

/** The answers for requests that may pass, each made and encoded once for its principal. */
export class AllowedAnswers {
  readonly #kept: LRUCache<Principal, Kept>;

  constructor(max: number) {
    this.#kept = lruCache(max);
  }

  /** `forged` names headers of the client's that read like ours. */
  answer({ principal, token }: Allowed, forged: readonly string[]): CheckResponse {
    if (!principal || forged.length > 0) return allowedMessage(principal, token, forged);
    const known = this.#kept.get(principal);
    if (known?.token === token) return known.message;
    const message = keepAnswer(allowedMessage(principal, token, forged));
    this.#kept.set(principal, { token, message });
    return message;
  }
}

/**
 * Names whom the request speaks for, and removes its credential (M01). Envoy removes after it sets, so
 * that what is set must not be removed.
 */
function allowedMessage(
  principal: Principal | undefined,
  token: string,
  forged: readonly string[],
): CheckResponse {
  const identity = principal ? identityOf(principal) : NOBODY;
  const headers = Object.entries(identity).map(([name, value]) => header(name, value));
  if (token !== '') headers.push(header('authorization', `Bearer ${token}`));
  const removed = CREDENTIAL_HEADERS.filter((name) => token === '' || name !== 'authorization');
  return create(CheckResponseSchema, {
    status: create(StatusSchema),
    httpResponse: {
      case: 'okResponse',
      value: { headers, headersToRemove: [...removed, 'x-countersign-caller', ...forged] },
    },
  });
}

/** The answer for a request that is refused; to a caller by gRPC, the proxy turns it into a status. */
export function deniedMessage(denial: Denial, isGrpc: boolean): CheckResponse {
  const { status, headers, body } = denialAnswer(denial);
  const options = Object.entries(headers).map(([name, value]) => header(name, value));
  // By the status alone, proxies tell callers by gRPC that the service is not available.
  if (status === 429 && isGrpc) options.push(header('grpc-status', String(RESOURCE_EXHAUSTED)));
  return create(CheckResponseSchema, {
    status: create(StatusSchema, {
      code: status === 401 ? UNAUTHENTICATED : PERMISSION_DENIED,
      message: body,
    }),
    httpResponse: {
      case: 'deniedResponse',
      value: { status: { code: CODES[status] }, headers: options, body },
    },
  });
}

function header(key: string, value: string): HeaderValueOption {
  return create(HeaderValueOptionSchema, {
    header: { key, value },
    appendAction: Append.OVERWRITE_IF_EXISTS_OR_ADD,
    keepEmptyValue: true,
  });
}
