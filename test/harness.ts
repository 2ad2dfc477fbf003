import { appendFileSync, mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescMessage, DescService, Message } from '@bufbuild/protobuf';
import {
  type Client,
  type Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import pg from 'pg';
import { SMTPServer } from 'smtp-server';
import { AuthService } from '../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../gen/countersign/v1/tokens_pb.ts';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../gen/google/rpc/error_details_pb.ts';
import { type App, type Overrides, startApp } from '../src/app.ts';
import { type Environment, readConfig } from '../src/config.ts';

/** What `npm test` prepared: see test/run.ts. */
const prepared = {
  postgres: required('COUNTERSIGN_TEST_POSTGRES'),
  redis: required('COUNTERSIGN_TEST_REDIS'),
  template: required('COUNTERSIGN_TEST_TEMPLATE'),
  directory: required('COUNTERSIGN_TEST_DIRECTORY'),
  masterKey: required('COUNTERSIGN_TEST_MASTER_KEY'),
};

export const PASSWORD = 'correct horse battery staple';
export const { masterKey: MASTER_KEY, redis: REDIS_URL } = prepared;
/** For tests of what races decide: a busy machine is not what they are about. */
export const PATIENT = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '10s',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '10s',
};
/** The limits that operators get who set none. */
export const DEFAULT_LIMITS = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '500ms',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '800ms',
};
export const PROTOCOLS = ['grpc', 'connect', 'grpc-web'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

function required(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error('run the tests by `npm test` (one file: `npm test -- test/x.test.ts`)');
  return value;
}

const cleanups: (() => unknown)[] = [];

/** Has something done when this test file has ended, the newest first. */
export function atEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** A clock that stands where it is put, and otherwise runs on. */
export class TestClock {
  #offsetMs = 0;

  now(): Date {
    return new Date(Date.now() + this.#offsetMs);
  }

  advance(ms: number): void {
    this.#offsetMs += ms;
  }
}

/** A new database with the schema, for this test file alone. Gives its URL. */
export async function createDatabase(): Promise<string> {
  const name = `countersign_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  await asAdmin(`create database ${name} template ${prepared.template}`);
  atEnd(() => asAdmin(`drop database if exists ${name} with (force)`));
  return new URL(name, prepared.postgres).href;
}

async function asAdmin(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: prepared.postgres });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Runs one statement on a database that tests made. */
export async function sql<Row extends pg.QueryResultRow>(
  databaseUrl: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

export type ReceivedMail = { to: string; subject: string; text: string; raw: string };

/** A real SMTP server. Keeps what it got; can be told to refuse. */
export class MailServer {
  readonly mails: ReceivedMail[] = [];
  refuse = false;
  /** The one recipient that it refuses. */
  refuseFor: string | undefined;
  /** Whether it takes mail and then says that it failed: what a connection lost too early looks like. */
  failAfterwards = false;
  readonly #server: SMTPServer;

  constructor() {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onMailFrom: (_address, _session, done) =>
        done(this.refuse ? new Error('not now') : undefined),
      onRcptTo: ({ address }, _session, done) =>
        done(address === this.refuseFor ? new Error('not for them') : undefined),
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk) => chunks.push(chunk));
        stream.on('end', () => {
          const raw = Buffer.concat(chunks).toString();
          const to = session.envelope.rcptTo[0]?.address ?? '';
          const mail = {
            to,
            subject: /^Subject: (.*)$/m.exec(raw)?.[1] ?? '',
            text: textOf(raw),
            raw,
          };
          const token = tokenIn(mail);
          if (token !== undefined) noteSecret(token);
          this.mails.push(mail);
          done(this.failAfterwards ? new Error('lost') : undefined);
        });
      },
    });
    this.#server.on('error', () => {});
  }

  async listen(port = 0): Promise<string> {
    const server = await new Promise<{ address(): unknown }>((resolve) => {
      const listening = this.#server.listen(port, '127.0.0.1', () => resolve(listening));
    });
    return `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** The newest mail to an address with a subject, when it has come. */
  async next(to: string, subject: RegExp, since = 0): Promise<ReceivedMail> {
    for (let waited = 0; waited < 15_000; waited += 20) {
      const found = this.mails
        .slice(since)
        .findLast((mail) => mail.to === to && subject.test(mail.subject));
      if (found) return found;
      await sleep(20);
    }
    throw new Error(`no mail to ${to} about ${subject}`);
  }
}

/** The text part of a mail of ours: quoted-printable, before the HTML. */
function textOf(raw: string): string {
  const part = /Content-Type: text\/plain[\s\S]*?\r\n\r\n([\s\S]*?)\r\n--/.exec(raw)?.[1] ?? '';
  const bytes = part
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** The token that a mail's link carries. */
export function tokenIn(mail: { text: string }): string | undefined {
  return /#token=(\S+)/.exec(mail.text)?.[1];
}

export type Service = {
  app: App;
  clock: TestClock;
  mail: MailServer;
  databaseUrl: string;
  /** What it was configured with. */
  env: Environment;
  auth: Client<typeof AuthService>;
  sessions: Client<typeof SessionService>;
  /** A client of any service by any protocol, with an access token or without. */
  client<S extends DescService>(service: S, protocol?: Protocol, accessToken?: string): Client<S>;
};

export type StartOptions = {
  env?: Environment;
  databaseUrl?: string;
  mail?: MailServer;
  clock?: TestClock;
  /** False for a service that is not going to be ready. */
  waitUntilReady?: boolean;
} & Pick<Overrides, 'services' | 'limits'>;

/**
 * Starts the real service in this process, on ports of its own and by default a database of its own,
 * and stops it when the test file ends. Give two of them one `databaseUrl` to have two replicas.
 */
export async function startService(options: StartOptions = {}): Promise<Service> {
  const clock = options.clock ?? new TestClock();
  const mail = options.mail ?? (await startMail());
  const databaseUrl = options.databaseUrl ?? (await createDatabase());
  const env = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: prepared.redis,
    SMTP_URL: await mailUrl(mail),
    COUNTERSIGN_MASTER_KEY: prepared.masterKey,
    COUNTERSIGN_GRPC_ADDR: '127.0.0.1:0',
    COUNTERSIGN_HTTP_ADDR: '127.0.0.1:0',
    COUNTERSIGN_ISSUER: 'https://issuer.test',
    COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
    COUNTERSIGN_RATE_LIMITS: 'off',
    COUNTERSIGN_SHUTDOWN_GRACE: '2s',
    // A loaded machine is no failure of the database; who tests those sets the real limits.
    ...PATIENT,
    COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
    COUNTERSIGN_ARGON2_TIME_COST: '1',
    ...options.env,
  };
  noteSecret(prepared.masterKey);
  const app = await startApp(
    readConfig(env, () => ''),
    {
      clock,
      logDestination,
      ...(options.services ? { services: options.services } : {}),
      ...(options.limits ? { limits: options.limits } : {}),
    },
  );
  let stopped: Promise<void> | undefined;
  const stop = app.stop.bind(app);
  app.stop = () => (stopped ??= stop());
  atEnd(() => app.stop());
  if (options.waitUntilReady !== false) await app.ready;
  return { app, clock, mail, databaseUrl, env, ...clients(app) };
}

const mailUrls = new WeakMap<MailServer, Promise<string>>();

async function startMail(): Promise<MailServer> {
  const mail = new MailServer();
  atEnd(() => mail.close());
  return mail;
}

function mailUrl(mail: MailServer): Promise<string> {
  const url = mailUrls.get(mail) ?? mail.listen();
  mailUrls.set(mail, url);
  return url;
}

/** Clients of a running service, which are closed when the test file ends. */
export function clients(app: Pick<App, 'grpcAddress' | 'httpAddress'>) {
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

let people = 0;

/** An address that no other test uses. */
export function newEmail(): string {
  people += 1;
  return `person-${process.pid}-${people}@example.com`;
}

/** Signs a new person up, reads the mail, and verifies the address. */
export async function createAccount(service: Service, password = PASSWORD): Promise<string> {
  const email = newEmail();
  await service.auth.signUp({ email, password, displayName: 'Pat' });
  const mail = await service.mail.next(email, /Confirm/);
  await service.auth.verifyEmail({ token: tokenIn(mail) ?? '' }).catch((cause) => {
    const mails = service.mail.mails.filter(({ to }) => to === email).map(({ text }) => text);
    throw new Error(`not verified by:\n${mails.join('\n---\n')}`, { cause });
  });
  return email;
}

/** Signs in and gives the tokens. */
export async function signIn(
  service: Service,
  email: string,
  password = PASSWORD,
): Promise<Tokens> {
  const { outcome } = await service.auth.login({ email, password, deviceLabel: 'test' });
  if (outcome.case !== 'tokens') throw new Error('no tokens');
  return outcome.value;
}

/** Another replica of a service: on the same database, with the same settings and these. */
export function startReplica(service: Service, options: StartOptions = {}): Promise<Service> {
  const { databaseUrl, mail, clock } = service;
  return startService({
    databaseUrl,
    mail,
    clock,
    ...options,
    env: { ...service.env, ...options.env },
  });
}

/** A person who has just signed in. */
export async function signedIn(service: Service): Promise<Tokens & { email: string }> {
  const email = await createAccount(service);
  return { ...(await signIn(service, email)), email };
}

export type Refusal = {
  code: Code;
  reason: string | undefined;
  requestId: string | undefined;
  fields: string[];
  retryAfterMs: number | undefined;
  message: string;
  metadata: Record<string, string>;
};

/** The error that a call ends with, in parts. Fails where the call succeeds. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (thrown) => ConnectError.from(thrown),
  );
  if (!error) throw new Error('the call was not refused');
  const info = error.findDetails(ErrorInfoSchema)[0];
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: error.code,
    reason: info?.reason,
    requestId: error.findDetails(RequestInfoSchema)[0]?.requestId,
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap((d) => d.fieldViolations.map((v) => v.field)),
    retryAfterMs: retry && Number(retry.seconds) * 1000 + retry.nanos / 1e6,
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
  };
}

/** Waits until `condition` holds. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5000,
): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(20)) {
    if (await condition()) return;
  }
  throw new Error(`not so within ${timeoutMs} ms`);
}

/** An empty directory for this test. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(prepared.directory, 'data-'));
}

const logFile = join(prepared.directory, `${process.pid}.log`);
const listeners = new Set<(line: Record<string, unknown>) => void>();

const logDestination = {
  write(line: string): void {
    appendFileSync(logFile, line);
    for (const listener of listeners) listener(JSON.parse(line));
  },
};

/** The lines that the services of this test file log while `work` runs. */
export async function logLines(
  work: () => Promise<unknown>,
  lines: Record<string, unknown>[] = [],
): Promise<Record<string, unknown>[]> {
  const listener = (line: Record<string, unknown>) => lines.push(line);
  listeners.add(listener);
  await work().finally(() => listeners.delete(listener));
  return lines;
}

/** Has the last test look for this text in all logs (W09). */
export function noteSecret(secret: string): void {
  if (secret.length >= 8) {
    appendFileSync(
      join(prepared.directory, `${process.pid}.secrets`),
      `${JSON.stringify(secret)}\n`,
    );
  }
}

/** Notes every field that the proto calls a secret, in what is sent and what comes back. */
const noteSecrets: Interceptor = (next) => async (req) => {
  if (!req.stream) noteMessage(req.method.input, req.message);
  const res = await next(req);
  if (!res.stream) noteMessage(res.method.output, res.message);
  return res;
};

function noteMessage(schema: DescMessage, message: Message): void {
  for (const field of schema.fields) {
    const value = fieldValue(message, field.localName, field.oneof?.localName);
    if (field.fieldKind === 'message' && value) noteMessage(field.message, value as Message);
    else if (field.proto.options?.debugRedact && typeof value === 'string') noteSecret(value);
  }
}

function fieldValue(message: Message, name: string, oneof: string | undefined): unknown {
  const fields = message as unknown as Record<string, unknown>;
  if (oneof === undefined) return fields[name];
  const chosen = fields[oneof] as { case?: string; value?: unknown };
  return chosen.case === name ? chosen.value : undefined;
}
