import { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import { PROTOCOLS } from '../../harness/clients.ts';
import { PASSWORD, signedIn } from '../../harness/people.ts';
import { refusal } from '../../harness/refusal.ts';
import type { Expected, Script } from './script.ts';

const SECONDS = 'rpc_server_call_duration_seconds';
const SYSTEMS = ['grpc', 'connectrpc', 'grpc_web'];
const UNKNOWN = ['no.Such/Method', 'no.Such/Other', 'countersign.v1.AuthService/Nothing'];

export const callScripts: readonly Script[] = [
  {
    does: 'count calls that are answered and refused, by each protocol',
    async run(service) {
      const { email } = await signedIn(service);
      for (const protocol of PROTOCOLS) {
        const wrong = { email, password: `${PASSWORD}!` };
        await refusal(service.client(AuthService, protocol).login(wrong));
      }
      const method = { rpc_method: 'countersign.v1.AuthService/Login' };
      const answered = { ...method, rpc_response_status_code: 'OK' };
      const refused = { ...method, rpc_response_status_code: 'UNAUTHENTICATED' };
      return [
        [`${SECONDS}_count`, { ...answered, rpc_system_name: 'grpc' }, 1],
        ...SYSTEMS.map((rpc_system_name): Expected => {
          return [`${SECONDS}_count`, { ...refused, rpc_system_name }, 1];
        }),
        [`${SECONDS}_bucket`, { ...answered, le: '+Inf' }, 1],
        [`${SECONDS}_sum`, answered, (seconds) => seconds > 0],
      ];
    },
  },
  {
    does: 'count calls of methods that there are not',
    async run({ app }) {
      const headers = { 'content-type': 'application/json' };
      for (const path of UNKNOWN) {
        await fetch(`http://${app.httpAddress}/${path}`, { method: 'POST', headers, body: '{}' });
      }
      const labels = { rpc_method: '_OTHER', rpc_response_status_code: 'UNIMPLEMENTED' };
      return [[`${SECONDS}_count`, labels, UNKNOWN.length]];
    },
  },
  {
    does: 'count what a replica is asked by plain HTTP',
    async run({ app }) {
      await fetch(`http://${app.httpAddress}/verify`);
      await fetch(`http://${app.httpAddress}/oauth2/token`, { method: 'POST' });
      return ['verify', '/oauth2/token'].map((rpc_method) => [
        `${SECONDS}_count`,
        { rpc_method, rpc_system_name: 'http' },
        1,
      ]);
    },
  },
  {
    does: 'show what runs, and that it is ready',
    run: async () => [
      ['countersign_ready', {}, (ready) => ready === 1],
      ['countersign_build_info', { node_version: process.version }, (always) => always === 1],
      ['process_open_fds', {}, (open) => open > 5],
      ['nodejs_heap_size_used_bytes', {}, (bytes) => bytes > 1e6],
    ],
  },
];
