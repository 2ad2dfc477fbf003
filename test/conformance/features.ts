import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../harness/prepared.ts';

const FAST = ['PROTOCOL_GRPC', 'PROTOCOL_CONNECT'];
const OTHERS = ['PROTOCOL_CONNECT', 'PROTOCOL_GRPC_WEB'];

/** Writes a file with those features of the conformance suite that the service has. */
export function featuresFile(withGrpcWeb: boolean): string {
  const config = {
    features: {
      versions: ['HTTP_VERSION_1', 'HTTP_VERSION_2'],
      protocols: withGrpcWeb ? [...FAST, 'PROTOCOL_GRPC_WEB'] : FAST,
      codecs: ['CODEC_PROTO', 'CODEC_JSON'],
      compressions: ['IDENTITY', 'GZIP', 'BR', 'DEFLATE'].map((name) => `COMPRESSION_${name}`),
      supports_h2c: true,
      supports_tls: true,
      supports_tls_client_certs: true,
      supports_connect_get: true,
      supports_message_receive_limit: true,
    },
    exclude_cases: [
      // gRPC has its own encoding and its own compressions.
      { protocol: 'PROTOCOL_GRPC', codec: 'CODEC_JSON' },
      { protocol: 'PROTOCOL_GRPC', compression: 'COMPRESSION_BR' },
      ...OTHERS.map((protocol) => ({ protocol, compression: 'COMPRESSION_DEFLATE' })),
    ],
  };
  const path = join(temporaryDirectory(), 'features.yaml');
  // JSON is YAML, too.
  writeFileSync(path, JSON.stringify(config));
  return path;
}
