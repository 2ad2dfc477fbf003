import { create } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import { HeaderMapSchema, HeaderValueSchema } from '../../gen/envoy/config/core/v3/base_pb.ts';
import {
  Authorization,
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
} from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import type { Service } from '../harness/service.ts';

/** A client's request, as Envoy tells of it. */
export type ClientRequest = {
  /** By name in lower case. */
  headers?: Record<string, string>;
  /** In place of them: one entry for each value, with bytes. */
  rawHeaders?: [name: string, value: string][];
  settings?: Record<string, string>;
  /** The address that Envoy is connected to. */
  source?: string;
  body?: string;
};

/** What the proxy is told, in parts. */
export type Told = {
  /** The gRPC code; 0 lets the request through. */
  code: number;
  /** The status of a refusal. */
  status: number | undefined;
  /** The headers that are set: on the request, or on the refusal. */
  set: Record<string, string>;
  removed: string[];
  body: string | undefined;
};

export function checkRequest(request: ClientRequest): CheckRequest {
  const { headers = {}, rawHeaders, settings = {}, source = '192.0.2.7', body = '' } = request;
  return create(CheckRequestSchema, {
    attributes: {
      source: {
        address: { address: { case: 'socketAddress', value: { address: source } } },
      },
      request: {
        http: {
          id: '1234567890123456789',
          method: 'GET',
          path: '/orders?page=2',
          host: 'shop.example',
          scheme: 'http',
          protocol: 'HTTP/1.1',
          headers,
          body,
          ...(rawHeaders && {
            headerMap: create(HeaderMapSchema, {
              headers: rawHeaders.map(([key, value]) =>
                create(HeaderValueSchema, { key, rawValue: Buffer.from(value, 'latin1') }),
              ),
            }),
          }),
        },
      },
      contextExtensions: settings,
    },
  });
}

/** Asks as Envoy does. */
export async function check(
  service: Service,
  request: ClientRequest,
  client: Client<typeof Authorization> = service.client(Authorization),
): Promise<Told> {
  return told(await client.check(checkRequest(request)));
}

function told({ status, httpResponse }: CheckResponse): Told {
  const code = status?.code ?? 0;
  const { case: kind, value } = httpResponse;
  const set = Object.fromEntries(
    (value?.headers ?? []).map(({ header }) => [header?.key ?? '', header?.value ?? '']),
  );
  return {
    code,
    status: kind === 'deniedResponse' ? value.status?.code : undefined,
    set,
    removed: kind === 'okResponse' ? value.headersToRemove : [],
    body: kind === 'deniedResponse' ? value.body : undefined,
  };
}

export const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
