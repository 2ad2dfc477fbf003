import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { noteSecrets } from '../harness/logs.ts';
import type { Service } from '../harness/service.ts';

/** A call as it went over the wire. */
export type Exchange = { path: string; request: unknown; status: number; answer: unknown };

const UNARY = 'application/json';
const HOP_BY_HOP = /^(?:host|connection|content-length|transfer-encoding|keep-alive)$/;

/** The service as clients see it who speak Connect in JSON through something that notes what they say. */
export async function recorded(service: Service): Promise<{ service: Service; made: Exchange[] }> {
  const made: Exchange[] = [];
  const address = await startRecorder(service.app.httpAddress, made);
  const client: Service['client'] = (of, _protocol, accessToken) => json(of, address, accessToken);
  const auth = client(AuthService);
  return { service: { ...service, client, auth, sessions: client(SessionService) }, made };
}

async function startRecorder(target: string, made: Exchange[]): Promise<string> {
  const server = createServer(async (req, res) => {
    const body = Buffer.concat(await Array.fromAsync(req));
    const path = req.url ?? '';
    const headers = Object.entries(req.headers).filter(([name]) => !HOP_BY_HOP.test(name));
    const answer = await fetch(`http://${target}${path}`, {
      method: 'POST',
      headers: headers.map(([name, value]) => [name, String(value)] as [string, string]),
      body,
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (req.headers['content-type'] === UNARY) {
      const [request, said] = [body, bytes].map((each) => JSON.parse(each.toString()));
      made.push({ path, request, status: answer.status, answer: said });
    }
    res.statusCode = answer.status;
    res.setHeader('content-type', answer.headers.get('content-type') ?? '');
    res.end(bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json<S extends DescService>(of: S, baseUrl: string, accessToken?: string): Client<S> {
  const bearer: Interceptor = (next) => (req) => {
    if (accessToken) req.header.set('authorization', `Bearer ${accessToken}`);
    return next(req);
  };
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: '1.1',
    useBinaryFormat: false,
    acceptCompression: [],
    interceptors: [noteSecrets, bearer],
  });
  return createClient(of, transport);
}
