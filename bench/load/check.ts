import { timestampNow } from '@bufbuild/protobuf/wkt';
import {
  Authorization,
  type CheckRequestSchema,
  type CheckResponseSchema,
} from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { PROXIED_HEADERS, REQUIRED_SCOPE } from './proxied-request.ts';
import type { Question } from './question.ts';

/** The question that Envoy asks about a client's request with a credential: about 1.3 KB. */
export function check(
  credential: string,
): Question<typeof CheckRequestSchema, typeof CheckResponseSchema> {
  return {
    method: Authorization.method.check,
    request: {
      attributes: {
        source: socketAddress('10.0.3.17', 51_712),
        destination: socketAddress('10.0.7.2', 8443),
        request: {
          time: timestampNow(),
          http: {
            id: '9371840275529176384',
            method: 'GET',
            headers: {
              ':authority': 'shop.example',
              ':method': 'GET',
              ':path': '/orders?page=2',
              ':scheme': 'https',
              ...PROXIED_HEADERS,
              authorization: `Bearer ${credential}`,
              'x-request-id': '5b0c4d1e-8f3a-4c61-9d27-6e1f0a2b3c4d',
            },
            path: '/orders?page=2',
            host: 'shop.example',
            scheme: 'https',
            protocol: 'HTTP/2',
          },
        },
        contextExtensions: { required_scopes: REQUIRED_SCOPE },
      },
    },
    isRight: ({ status, httpResponse }) => status?.code === 0 && httpResponse.case === 'okResponse',
  };
}

function socketAddress(address: string, port: number) {
  return {
    address: {
      address: {
        case: 'socketAddress' as const,
        value: { address, portSpecifier: { case: 'portValue' as const, value: port } },
      },
    },
  };
}
