import { createVerifier } from '@countersign/verifier';
import { ServerCredentials } from '@grpc/grpc-js';
import { Orders } from './orders.ts';
import { connectServer } from './over-connect.ts';
import { grpcServer } from './over-grpc.ts';

const {
  COUNTERSIGN_URL: baseUrl = 'http://127.0.0.1:8080',
  // What Countersign writes into tokens: COUNTERSIGN_ISSUER and COUNTERSIGN_AUDIENCE there.
  COUNTERSIGN_ISSUER: issuer = baseUrl,
  COUNTERSIGN_AUDIENCE: audience = issuer,
  // An API key with the permission tokens.introspect. Countersign's embedded default needs none.
  COUNTERSIGN_KEY: credential = '',
  GRPC_PORT = '50061',
  HTTP_PORT = '8081',
} = process.env;

const verifier = createVerifier({ baseUrl, issuer, audience, credential });
verifier.on('error', ({ message }) => say(`Countersign: ${message}`));
verifier.on('stale', () => say('Countersign is not heard: calls are refused as UNAVAILABLE'));
verifier.on('ready', () => say('Countersign is heard'));

const orders = new Orders();
const grpc = grpcServer(verifier, orders);
const connect = connectServer(verifier, orders);

grpc.bindAsync(`127.0.0.1:${GRPC_PORT}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  say(`gRPC on 127.0.0.1:${port}`);
});
connect.listen(Number(HTTP_PORT), '127.0.0.1', () => {
  const address = connect.address();
  say(`HTTP on 127.0.0.1:${typeof address === 'object' ? address?.port : address}`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    verifier.close();
    grpc.forceShutdown();
    connect.close().closeAllConnections();
  });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
