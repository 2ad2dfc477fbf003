import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { App } from '../../src/app.ts';
import { atEnd } from './at-end.ts';
import { noteSecrets } from './logs.ts';

export const PROTOCOLS = ['grpc', 'connect', 'grpc-web'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type Clients = {
  auth: Client<typeof AuthService>;
  sessions: Client<typeof SessionService>;
  /** A client of any service by any protocol, with an access token or without. */
  client<S extends DescService>(service: S, protocol?: Protocol, accessToken?: string): Client<S>;
};

/** Clients of a running service, which are closed at the end. */
export function clients(app: Pick<App, 'grpcAddress' | 'httpAddress'>): Clients {
  const grpcUrl = `http://${app.grpcAddress}`;
  const sessionManager = new Http2SessionManager(grpcUrl);
  atEnd(() => sessionManager.abort());
  const client = <S extends DescService>(
    service: S,
    protocol: Protocol = 'grpc',
    accessToken?: string,
  ): Client<S> => {
    const interceptors = [noteSecrets, ...(accessToken ? [bearer(accessToken)] : [])];
    return createClient(
      service,
      transport(protocol, grpcUrl, app.httpAddress, sessionManager, interceptors),
    );
  };
  return { client, auth: client(AuthService), sessions: client(SessionService) };
}

function transport(
  protocol: Protocol,
  grpcUrl: string,
  httpAddress: string,
  sessionManager: Http2SessionManager,
  interceptors: Interceptor[],
): Transport {
  const baseUrl = `http://${httpAddress}`;
  if (protocol === 'grpc')
    return createGrpcTransport({ baseUrl: grpcUrl, sessionManager, interceptors });
  const options = { baseUrl, httpVersion: '1.1', interceptors } as const;
  return protocol === 'connect' ? createConnectTransport(options) : createGrpcWebTransport(options);
}

function bearer(token: string): Interceptor {
  return (next) => (req) => {
    req.header.set('authorization', `Bearer ${token}`);
    return next(req);
  };
}
