import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationStream } from 'pino';
import { AccountService } from '../gen/countersign/v1/account_service_pb.ts';
import { AdminService } from '../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../gen/countersign/v1/api_key_service_pb.ts';
import { AuditService } from '../gen/countersign/v1/audit_service_pb.ts';
import { AuthService } from '../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../gen/countersign/v1/session_service_pb.ts';
import { RoleBook } from './access/role-book.ts';
import { ApiKeyMemory } from './api-keys/api-key-memory.ts';
import { KeyLimits } from './api-keys/key-limits.ts';
import { KeyUsage } from './api-keys/key-usage.ts';
import { ApiKeyVerifier } from './api-keys/verify-api-key.ts';
import { AuditQueue } from './audit/audit-queue.ts';
import { AuditTrail } from './audit/audit-trail.ts';
import { Background } from './background.ts';
import type { Config } from './config.ts';
import { healthzEndpoint, readyzEndpoint } from './http/health.ts';
import { type HttpHandler, HttpServer } from './http/http-server.ts';
import { mailboxJsonEndpoint, mailboxPageEndpoint } from './http/mailbox-page.ts';
import { originGuard } from './http/origin-guard.ts';
import { type Endpoint, sidecar } from './http/sidecar.ts';
import { tokenPages } from './http/token-pages.ts';
import { discoveryEndpoint, jwksEndpoint } from './http/well-known.ts';
import { type MailTransport, smtpTransport } from './mail/deliver.ts';
import { Mailbox } from './mail/mailbox.ts';
import { Outbox } from './mail/outbox.ts';
import { forgetPasskey } from './passkeys/delete-passkey.ts';
import { relyingParty } from './passkeys/relying-party.ts';
import { BreachedPasswords } from './passwords/breached-passwords.ts';
import { PasswordHasher } from './passwords/password-hasher.ts';
import { PasswordPolicy } from './passwords/password-policy.ts';
import { PasswordStrength } from './passwords/password-strength.ts';
import { type Clock, systemClock } from './platform/clock.ts';
import { Keyring } from './platform/crypto.ts';
import { Jobs } from './platform/jobs.ts';
import { createLog, errorFields } from './platform/log.ts';
import { masterKeyIn } from './platform/master-key.ts';
import { formatAddress } from './platform/net.ts';
import { type Readiness, readiness } from './platform/readiness.ts';
import { connectRedis } from './platform/redis.ts';
import { noHints, redisHints } from './platform/redis-hints.ts';
import { RevocationFeed } from './revocations/revocation-feed.ts';
import { CallFactory } from './rpc/call.ts';
import { type ConnectListenerDeps, connectListener } from './rpc/connect/listener.ts';
import { GrpcListener } from './rpc/grpc/listener.ts';
import { access } from './rpc/interceptors/access.ts';
import { authentication } from './rpc/interceptors/authentication.ts';
import { deadline } from './rpc/interceptors/deadline.ts';
import { errors } from './rpc/interceptors/errors.ts';
import { logging } from './rpc/interceptors/logging.ts';
import { noRateLimits, rateLimits } from './rpc/interceptors/rate-limits.ts';
import { shutdown } from './rpc/interceptors/shutdown.ts';
import { validation } from './rpc/interceptors/validation.ts';
import { LIMITS, type Limits } from './rpc/limits.ts';
import { accountService } from './rpc/services/account-service.ts';
import { adminService } from './rpc/services/admin-service.ts';
import { apiKeyService } from './rpc/services/api-key-service.ts';
import { auditService } from './rpc/services/audit-service.ts';
import { authService } from './rpc/services/auth-service.ts';
import { type Service, service } from './rpc/services/service.ts';
import { sessionService } from './rpc/services/session-service.ts';
import { openDatabase } from './schema.ts';
import { AccessTokenVerifier } from './sessions/verify-access-token.ts';
import { KeySet } from './signing-keys/key-set.ts';

const READINESS_MS = 1000;
/** Long enough for load balancers that look at health once a second. */
const DRAIN_NOTICE_MS = 1000;

/** What a test, or a program that embeds the service, may replace. */
export type Overrides = {
  clock?: Clock;
  logDestination?: DestinationStream;
  /** Services beside our own, behind the same interceptors. */
  services?: readonly Service[];
  limits?: Partial<Limits>;
};

export type App = {
  grpcAddress: string;
  httpAddress: string;
  publicUrl: string;
  /** Resolves when the service has what it needs, however long that takes. */
  ready: Promise<void>;
  readiness(): Promise<Readiness>;
  /** Takes secrets and certificates as the configuration now has them. */
  reload(config: Config): void;
  /** Drains: tells callers, finishes what is in flight, flushes what waits, closes. */
  stop(): Promise<void>;
};

/**
 * Builds everything once, in the order in which it is needed, and starts it. Nothing else in the
 * program constructs a dependency. The listeners are there when it returns; `ready` says when the
 * service is.
 */
export async function startApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const platform = await buildPlatform(config, overrides);
  const limits = { ...LIMITS, ...overrides.limits };
  const { http, httpPort, onRequest } = await listenHttp(config, limits);
  const httpAddress = formatAddress({ ...config.httpAddress, port: httpPort });
  const publicUrl = config.publicUrl ?? `${config.tls ? 'https' : 'http'}://${httpAddress}`;
  const nouns = buildNouns(config, platform, publicUrl);
  // First nobody new is to come, then streams end: two moments, a little apart.
  const draining = new AbortController();
  const stopping = new AbortController();
  const services = overrides.services ?? [];
  const serving = buildServing(config, platform, nouns, services, limits, stopping.signal);
  const grpc = new GrpcListener({ ...serving, tls: config.tls });
  const grpcPort = await grpc.listen(config.grpcAddress);

  const background = new Background(config, platform, nouns, publicUrl, draining.signal);
  const look = () => readiness(background.checks());
  onRequest(buildHttp(config, platform, nouns, serving, publicUrl, look));
  const ready = background.bringUp().then(async () => {
    const showHealth = async () => grpc.setServing((await look()).status !== 'not ready');
    await showHealth();
    background.every(READINESS_MS, 'readiness', showHealth);
  });

  return {
    grpcAddress: formatAddress({ ...config.grpcAddress, port: grpcPort }),
    httpAddress,
    publicUrl,
    ready,
    readiness: look,
    reload(next) {
      if (next.databaseUrl !== undefined) platform.database.setUrl(next.databaseUrl);
      if (next.redisUrl !== undefined) platform.hints.setUrl(next.redisUrl);
      if (next.smtpUrl !== undefined) nouns.mail?.setUrl(next.smtpUrl);
      if (next.masterKeys !== undefined) platform.keyring.replace(next.masterKeys);
      http.reloadTls();
    },
    async stop() {
      draining.abort();
      grpc.setServing(false);
      await sleep(Math.min(DRAIN_NOTICE_MS, config.shutdownGraceMs / 10));
      stopping.abort();
      await Promise.all([grpc.close(config.shutdownGraceMs), http.close(config.shutdownGraceMs)]);
      await ready.catch(() => {});
      await background.stop();
      await nouns.auditQueue.flush();
      await nouns.keyUsage.flush();
      nouns.mail?.close();
      await nouns.strength.close();
      platform.hints.close();
      platform.redis?.disconnect();
      await platform.database.close();
    },
  };
}

type Platform = Awaited<ReturnType<typeof buildPlatform>>;

async function buildPlatform(config: Config, overrides: Overrides) {
  const clock = overrides.clock ?? systemClock;
  const log = createLog(config.logLevel, overrides.logDestination);
  const keyring = new Keyring(config.masterKeys ?? masterKeyIn(config.dataDir));
  const database = await openDatabase(config, log);
  const { redisUrl } = config;
  const redis = redisUrl === undefined ? undefined : connectRedis(redisUrl, log);
  const hints = redis && redisUrl ? redisHints(redis, redisUrl, log) : noHints;
  const jobs = new Jobs(database, log);
  return { clock, log, keyring, database, redis, hints, jobs };
}

/** The HTTP listener comes before what answers on it: its port may be part of the issuer's name. */
async function listenHttp(config: Config, limits: Limits) {
  let handler: HttpHandler = (_req, res) => {
    res.statusCode = 503;
    res.end();
  };
  const http = new HttpServer((req, res) => handler(req, res), config.tls, limits);
  const httpPort = await http.listen(config.httpAddress);
  const onRequest = (next: HttpHandler) => {
    handler = next;
  };
  return { http, httpPort, onRequest };
}

type Nouns = ReturnType<typeof buildNouns>;

function buildNouns(config: Config, platform: Platform, publicUrl: string) {
  const { clock, log, database, keyring, redis, hints, jobs } = platform;
  const issuer = config.issuer ?? publicUrl;
  const tokens = { ...config, issuer, audience: config.audience ?? issuer };
  const mailbox =
    config.smtpUrl === undefined && config.databaseUrl === undefined
      ? new Mailbox(config.dataDir, () => clock.now())
      : undefined;
  const mail: MailTransport | undefined =
    config.smtpUrl === undefined ? mailbox : smtpTransport(config.smtpUrl);
  const keys = new KeySet(database, keyring, hints);
  const revocations = new RevocationFeed({ ...config, database, clock, log, hints, keys });
  const roles = new RoleBook({ database, clock, log, hints });
  const apiKeyMemory = new ApiKeyMemory({ database, log, hints, revocations });
  const keyUsage = new KeyUsage(database, log);
  const keyLimits = new KeyLimits(redis);
  const { minLength, pwnedPasswordsUrl } = config.passwords;
  const strength = new PasswordStrength();
  const breached =
    pwnedPasswordsUrl === undefined ? undefined : new BreachedPasswords(pwnedPasswordsUrl, log);
  return {
    tokens,
    mailbox,
    mail,
    keys,
    revocations,
    roles,
    outbox: new Outbox(jobs, keyring),
    auditQueue: new AuditQueue(database, clock, log),
    auditTrail: new AuditTrail({ database, keyring, log }),
    verifying: new Set<symbol>(),
    passwords: new PasswordHasher(config.argon2),
    strength,
    passwordPolicy: new PasswordPolicy({ minLength, strength, breached }),
    relyingParty: relyingParty(config, publicUrl),
    verifier: new AccessTokenVerifier({ clock, keys, tokens, revocations, roles }),
    apiKeyMemory,
    keyUsage,
    apiKeyVerifier: new ApiKeyVerifier({
      ...platform,
      roles,
      revocations,
      apiKeyMemory,
      keyLimits,
      keyUsage,
    }),
  };
}

/**
 * What both listeners serve, and through which interceptors, in their order. Each call has its
 * request id and trace already, from `CallFactory`: answers that never come this far carry them too.
 */
function buildServing(
  config: Config,
  platform: Platform,
  nouns: Nouns,
  others: readonly Service[],
  limits: Limits,
  stopping: AbortSignal,
) {
  const { clock, log, redis } = platform;
  const { verifier, apiKeyVerifier, tokens } = nouns;
  const deps = {
    ...platform,
    ...nouns,
    limits,
    requireVerifiedEmail: config.requireVerifiedEmail,
    signingAlg: config.signingAlg,
    accessTokenTtlMs: config.accessTokenTtlMs,
    passwordHistory: config.passwords.history,
    forgetPasskey,
  };
  return {
    services: [
      service(AccountService, accountService(deps)),
      service(AdminService, adminService(deps)),
      service(ApiKeyService, apiKeyService(deps)),
      service(AuditService, auditService(deps)),
      service(AuthService, authService(deps)),
      service(SessionService, sessionService(deps)),
      ...others,
    ],
    interceptors: [
      logging(log),
      errors,
      shutdown(stopping),
      deadline,
      authentication({ verifier, apiKeyVerifier, audience: tokens.audience }),
      access({
        clock,
        rateLimits: config.rateLimits ? rateLimits(redis) : noRateLimits,
        trustedCallers: config.trustedCallers,
      }),
      validation,
    ],
    calls: new CallFactory(config.trustedProxies),
    log,
    limits,
  };
}

function buildHttp(
  config: Config,
  { log }: Platform,
  { keys, tokens, mailbox }: Nouns,
  serving: ConnectListenerDeps,
  publicUrl: string,
  look: () => Promise<Readiness>,
): HttpHandler {
  const guard = originGuard(config);
  const rpc = connectListener(serving);
  const discovery = discoveryEndpoint(tokens.issuer, publicUrl);
  const paths: [string, Endpoint][] = [
    ['/.well-known/jwks.json', jwksEndpoint(keys)],
    ['/.well-known/openid-configuration', discovery],
    ['/.well-known/oauth-authorization-server', discovery],
    ['/healthz', healthzEndpoint],
    ['/readyz', readyzEndpoint(look)],
    ...tokenPages,
  ];
  if (mailbox) {
    paths.push(['/dev/mailbox', mailboxPageEndpoint(mailbox)]);
    paths.push(['/dev/mailbox.json', mailboxJsonEndpoint(mailbox)]);
  }
  const endpoints = sidecar(new Map(paths), (error) =>
    log.error({ component: 'http', ...errorFields(error) }, 'endpoint failed'),
  );
  return (req, res) => {
    if (!guard(req, res) && !rpc(req, res)) endpoints(req, res);
  };
}
