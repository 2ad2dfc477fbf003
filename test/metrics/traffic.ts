import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import type { Labels } from './scrape.ts';

/** What a metric has to say after a script: a number, or what holds for it. */
export type Expected = [name: string, labels: Labels, value: number | ((value: number) => boolean)];

/** A part of the traffic, and what it leaves in the metrics. */
type Script = (service: Service) => Promise<Expected[]>;

/** Starts a service, does a bit of everything to it, and returns what its metrics should say then. */
export async function busyService(): Promise<{ service: Service; expected: Expected[] }> {
  const service = await startService();
  const expected: Expected[] = [];
  for (const script of SCRIPTS) expected.push(...(await script(service)));
  return { service, expected };
}

const SECONDS = 'rpc_server_call_duration_seconds';

const calls: Script = async (service) => {
  const { email } = await signedIn(service);
  for (const protocol of PROTOCOLS) {
    const wrong = { email, password: `${PASSWORD}!` };
    await refusal(service.client(AuthService, protocol).login(wrong));
  }
  const answered = {
    rpc_method: 'countersign.v1.AuthService/Login',
    rpc_response_status_code: 'OK',
  };
  const refused = { ...answered, rpc_response_status_code: 'UNAUTHENTICATED' };
  return [
    [`${SECONDS}_count`, { ...answered, rpc_system_name: 'grpc' }, 1],
    ...['grpc', 'connectrpc', 'grpc_web'].map(
      (system): Expected => [`${SECONDS}_count`, { ...refused, rpc_system_name: system }, 1],
    ),
    [`${SECONDS}_bucket`, { ...answered, le: '+Inf' }, 1],
    [`${SECONDS}_sum`, answered, (seconds) => seconds > 0],
  ];
};

const UNKNOWN = ['no.Such/Method', 'no.Such/Other', 'countersign.v1.AuthService/Nothing'];

const unknownMethods: Script = async ({ app }) => {
  const headers = { 'content-type': 'application/json' };
  for (const path of UNKNOWN) {
    await fetch(`http://${app.httpAddress}/${path}`, { method: 'POST', headers, body: '{}' });
  }
  const labels = { rpc_method: '_OTHER', rpc_response_status_code: 'UNIMPLEMENTED' };
  return [[`${SECONDS}_count`, labels, UNKNOWN.length]];
};

const replica: Script = async () => [
  ['countersign_ready', {}, 1],
  ['countersign_build_info', { node_version: process.version }, 1],
  ['process_open_fds', {}, (open) => open > 5],
  ['nodejs_heap_size_used_bytes', {}, (bytes) => bytes > 1e6],
];

const SCRIPTS: readonly Script[] = [calls, unknownMethods, replica];
