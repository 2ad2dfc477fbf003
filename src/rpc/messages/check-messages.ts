import { create } from '@bufbuild/protobuf';
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
import type { Denial } from '../../mesh/judge-request.ts';
import type { Passage } from '../../mesh/passage.ts';
import { keepAnswer } from './kept-answer.ts';

const CODES = {
  401: StatusCode.Unauthorized,
  403: StatusCode.Forbidden,
  429: StatusCode.TooManyRequests,
} as const;

const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;

/** The answer for a request that may pass, which is encoded once. */
export function allowedMessage({ set, removed }: Passage): CheckResponse {
  const headers = Object.entries(set).map(([name, value]) => header(name, value));
  return keepAnswer(
    create(CheckResponseSchema, {
      status: create(StatusSchema),
      httpResponse: {
        case: 'okResponse',
        value: { headers, headersToRemove: [...removed] },
      },
    }),
  );
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
