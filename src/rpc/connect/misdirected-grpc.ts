import type { Http2ServerResponse } from 'node:http2';
import type { NodeRequest } from './node-request.ts';

const UNIMPLEMENTED = 12;

/** Whether it is a call by gRPC, which this listener does not speak. */
export function isGrpc(req: NodeRequest): boolean {
  const type = req.headers['content-type'];
  return 'stream' in req && type !== undefined && /^application\/grpc(?:\+|;|$)/.test(type);
}

/**
 * Answers a call by gRPC with a status that says where gRPC is served. The headers end the stream: after
 * them, Go, Java and Python take not even an empty frame, and don't show the message.
 */
export function answerGrpc(res: Http2ServerResponse, grpcPort: number): true {
  const text = `gRPC is served on port ${grpcPort}; this port serves Connect and gRPC-Web`;
  const headers = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(UNIMPLEMENTED),
    'grpc-message': text,
  };
  res.stream.respond(headers, { endStream: true });
  return true;
}
