import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { PGlite } from '@electric-sql/pglite';
import { pg_trgm } from '@electric-sql/pglite/contrib/pg_trgm';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { type Cleanups, stop, waitForOutput } from './cleanups.ts';
import { PASSWORD } from './passwords.ts';

const START_TIMEOUT_MS = 60_000;
const MAIL_TIMEOUT_MS = 30_000;
const EMAIL = 'bench@example.com';

/** The `iss` and `aud` of the service's tokens. */
export const ISSUER = 'https://id.example.com';

export type RunningService = {
  grpcAddress: string;
  publicUrl: string;
  pid: number;
  stop(): Promise<void>;
};

export type ServiceOptions = {
  dataDir: string;
  profileDirectory?: string | undefined;
  nodeArgs?: readonly string[];
  /** Further environment variables. Without DATABASE_URL the database is embedded. */
  env?: Readonly<Record<string, string>>;
  /** The open file that its log is written to. Without one the lines are discarded. */
  log?: number;
};

/**
 * Starts the service as `npm start` does, in a process of its own, by default with an embedded
 * database, and waits until it is ready. It logs as in production.
 */
export async function startService(
  cleanups: Cleanups,
  { dataDir, profileDirectory, nodeArgs = [], env, log }: ServiceOptions,
): Promise<RunningService> {
  const profile =
    profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
  const args = ['--max-semi-space-size=16', ...nodeArgs, ...profile, 'dist/src/main.js', 'serve'];
  const child = cleanups.process(process.execPath, args, {
    env: {
      PATH: process.env['PATH'],
      TMPDIR: process.env['TMPDIR'],
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_GRPC_ADDR: '127.0.0.1:0',
      COUNTERSIGN_HTTP_ADDR: '127.0.0.1:0',
      COUNTERSIGN_ISSUER: ISSUER,
      // A run may take longer than the default of ten minutes.
      COUNTERSIGN_ACCESS_TOKEN_TTL: '2h',
      COUNTERSIGN_SHUTDOWN_GRACE: '2s',
      ...env,
    },
    stdio: ['ignore', log ?? 'ignore', 'pipe'],
  });
  const pattern = /gRPC +(\S+)\n *HTTP +(\S+)/;
  const [, grpcAddress = '', publicUrl = ''] = await waitForOutput(
    child,
    pattern,
    START_TIMEOUT_MS,
  );
  return { grpcAddress, publicUrl, pid: child.pid ?? 0, stop: () => stop(child) };
}

/** Signs up the person of the benchmarks, and verifies the address with the mail that arrives. */
export async function createAccount(service: RunningService): Promise<void> {
  const auth = authClient(service);
  await auth.signUp({ email: EMAIL, password: PASSWORD, displayName: 'Bench' });
  await auth.verifyEmail({ token: await mailedToken(service) });
}

/** Makes that person an administrator. The service must not be running: it would hold the database. */
export async function makeAdmin(dataDir: string): Promise<void> {
  const database = await PGlite.create(join(dataDir, 'postgres'), { extensions: { pg_trgm } });
  await database.query(`update accounts set roles = '{user,admin}'`);
  await database.close();
}

/** Signs that person in. Returns the access token. */
export async function signIn(service: RunningService): Promise<string> {
  const { outcome } = await authClient(service).login({ email: EMAIL, password: PASSWORD });
  if (outcome.case !== 'tokens') throw new Error('the sign-in gave no tokens');
  return outcome.value.accessToken;
}

function authClient({ grpcAddress }: RunningService): Client<typeof AuthService> {
  return createClient(AuthService, createGrpcTransport({ baseUrl: `http://${grpcAddress}` }));
}

async function mailedToken({ publicUrl }: RunningService): Promise<string> {
  for (const end = Date.now() + MAIL_TIMEOUT_MS; Date.now() < end; await sleep(100)) {
    const response = await fetch(`${publicUrl}/dev/mailbox.json`);
    const [mail] = (await response.json()) as { text: string }[];
    const token = /#token=(\S+)/.exec(mail?.text ?? '')?.[1];
    if (token !== undefined) return token;
  }
  throw new Error('the mail with the token did not arrive');
}
