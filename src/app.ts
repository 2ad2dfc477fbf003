import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationStream } from 'pino';
import { AccountService } from '../gen/countersign/v1/account_service_pb.ts';
import { AdminService } from '../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../gen/countersign/v1/api_key_service_pb.ts';
import { AuditService } from '../gen/countersign/v1/audit_service_pb.ts';
import { AuthService } from '../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../gen/countersign/v1/session_service_pb.ts';
import { WebhookService } from '../gen/countersign/v1/webhook_service_pb.ts';
import { Authorization } from '../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { RoleBook } from './access/role-book.ts';
import { ApiKeyMemory } from './api-keys/api-key-memory.ts';
import { KeyLimits } from './api-keys/key-limits.ts';
import { KeyLookups } from './api-keys/key-lookups.ts';
import { KeyUsage } from './api-keys/key-usage.ts';
import { ApiKeyVerifier } from './api-keys/verify-api-key.ts';
import { AuditQueue } from './audit/audit-queue.ts';
import { AuditTrail } from './audit/audit-trail.ts';
import { Background } from './background.ts';
import { type Config, ConfigError } from './config.ts';
import type { ProviderSettings } from './federation/provider-settings.ts';
import { Providers } from './federation/providers.ts';
import { TEST_PROVIDER_PATH, testProviderAt } from './federation/test-provider.ts';
import { devApp } from './http/dev-app.ts';
import { docsPages } from './http/docs-page.ts';
import { healthzEndpoint, readyzEndpoint } from './http/health.ts';
import { type HttpEdge, type HttpHandler, HttpServer } from './http/http-server.ts';
import { mailboxPages } from './http/mailbox-page.ts';
import { fromNetworks, metricsEndpoint } from './http/metrics-endpoint.ts';
import { oauthDoor } from './http/oauth/oauth-door.ts';
import { oauthEndpoints } from './http/oauth/oauth-endpoints.ts';
import { originGuard } from './http/origin-guard.ts';
import { PageFrame } from './http/page.ts';
import { type Endpoint, sidecar } from './http/sidecar.ts';
import { testProviderEndpoints } from './http/test-provider/test-provider-endpoints.ts';
import { tokenPages } from './http/token-pages.ts';
import { verifyEndpoint } from './http/verify.ts';
import { discoveryEndpoint, jwksEndpoint } from './http/well-known.ts';
import { type MailTransport, smtpTransport } from './mail/deliver.ts';
import { Mailbox } from './mail/mailbox.ts';
import { Outbox } from './mail/outbox.ts';
import { InternalTokens } from './mesh/internal-tokens.ts';
import { Rules } from './mesh/rule.ts';
import { ScopeUse } from './mesh/scope-use.ts';
import { ShadowDenials } from './mesh/shadow-denials.ts';
import { describeMetrics } from './metrics/describe-metrics.ts';
import { WorkloadTokens } from './oauth/workload-tokens.ts';
import { relyingParty } from './passkeys/relying-party.ts';
import { BreachedPasswords } from './passwords/breached-passwords.ts';
import { NewPasswords } from './passwords/new-passwords.ts';
import { PasswordHasher } from './passwords/password-hasher.ts';
import { PasswordPolicy } from './passwords/password-policy.ts';
import { PasswordStrength } from './passwords/password-strength.ts';
import { Breakers } from './platform/breakers.ts';
import { Certificates } from './platform/certificates.ts';
import { type Clock, systemClock } from './platform/clock.ts';
import { Keyring } from './platform/crypto.ts';
import { DatabaseClock } from './platform/database-clock.ts';
import { Jobs } from './platform/jobs.ts';
import { createLog, errorFields, type Log } from './platform/log.ts';
import { masterKeyIn } from './platform/master-key.ts';
import { Metrics } from './platform/metrics.ts';
import { type Address, formatAddress } from './platform/net.ts';
import { Networks } from './platform/networks.ts';
import { ownOrigins } from './platform/own-origins.ts';
import { type Readiness, readiness } from './platform/readiness.ts';
import { connectRedis } from './platform/redis.ts';
import { noHints, redisHints } from './platform/redis-hints.ts';
import { Shares } from './platform/shares.ts';
import { startTracer } from './platform/start-tracer.ts';
import { RevocationFeed } from './revocations/revocation-feed.ts';
import { CallFactory } from './rpc/call.ts';
import { CallDurations } from './rpc/call-durations.ts';
import { CallerMemory } from './rpc/caller-memory.ts';
import { answerLargeHeaders } from './rpc/connect/large-headers.ts';
import { connectListener } from './rpc/connect/listener.ts';
import { GrpcListener } from './rpc/grpc/listener.ts';
import { access } from './rpc/interceptors/access.ts';
import { authentication } from './rpc/interceptors/authentication.ts';
import { browserSession } from './rpc/interceptors/browser-session.ts';
import { deadline } from './rpc/interceptors/deadline.ts';
import { errors } from './rpc/interceptors/errors.ts';
import { logging } from './rpc/interceptors/logging.ts';
import { noRateLimits, rateLimits } from './rpc/interceptors/rate-limits.ts';
import { shutdown } from './rpc/interceptors/shutdown.ts';
import { standing } from './rpc/interceptors/standing.ts';
import { tracing } from './rpc/interceptors/tracing.ts';
import { validation } from './rpc/interceptors/validation.ts';
import { refuseHeaders } from './rpc/large-headers.ts';
import { LIMITS, type Limits } from './rpc/limits.ts';
import { reflection } from './rpc/reflection/reflection.ts';
import { accountService } from './rpc/services/account-service.ts';
import { adminService } from './rpc/services/admin-service.ts';
import { apiKeyService } from './rpc/services/api-key-service.ts';
import { auditService } from './rpc/services/audit-service.ts';
import { authService } from './rpc/services/auth-service.ts';
import { AUTHORIZATION_TERMS, authorizationService } from './rpc/services/authorization-service.ts';
import type { Dependencies } from './rpc/services/dependencies.ts';
import { type Service, service } from './rpc/services/service.ts';
import { sessionService } from './rpc/services/session-service.ts';
import { webhookService } from './rpc/services/webhook-service.ts';
import type { Serving } from './rpc/serving.ts';
import { SignInCounts } from './rpc/sign-in-counts.ts';
import { openDatabase } from './schema.ts';
import { TokenIssuer } from './sessions/token-issuer.ts';
import { AccessTokenVerifier } from './sessions/verify-access-token.ts';
import { KeySet } from './signing-keys/key-set.ts';
import type { Languages } from './texts/languages.ts';
import { readTexts } from './texts/read-texts.ts';
import { Database } from './unit-of-work/database.ts';
import { Errands } from './unit-of-work/errands.ts';
import { FanOut } from './webhooks/fan-out.ts';
import { WebhookLanes } from './webhooks/webhook-lanes.ts';
import { WebhookTargets } from './webhooks/webhook-targets.ts';

const READINESS_MS = 1000;
/** Long enough for load balancers that ask for health once a second, and take a moment to act. */
const DRAIN_NOTICE_MS = 1500;

/** Everything that a test, or a program that embeds the service, may replace. */
export type Overrides = {
  /** The time of everything that the service records, issues and judges; by default the database's. */
  clock?: Clock;
  /** What the clock of this machine says. */
  machineClock?: Clock;
  logDestination?: DestinationStream;
  /** Further services, behind the same interceptors. */
  services?: readonly Service[];
  limits?: Partial<Limits>;
  /** One that several services in a process share, which ends with the process. */
  strength?: PasswordStrength;
};

export type App = {
  grpcAddress: string;
  httpAddress: string;
  /** Where `/metrics` is. */
  metricsAddress: string;
  publicUrl: string;
  /** Resolves when the service has everything it needs, however long that takes. */
  ready: Promise<void>;
  readiness(): Promise<Readiness>;
  /** Takes over the secrets, certificates and identity providers of the present configuration. */
  reload(config: Config): void;
  /** Drains: tells callers, finishes calls in flight, flushes queues, closes. */
  stop(): Promise<void>;
};

/**
 * Builds everything once, in the order in which it is needed, and starts it. Nothing else in the program
 * constructs a dependency. When it returns the listeners are open; `ready` resolves when the service is.
 */
export async function startApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const platform = await buildPlatform(config, overrides);
  const limits = { ...LIMITS, ...overrides.limits };
  const memory = new CallerMemory(limits);
  const durations = new CallDurations();
  const calls = new CallFactory(config.trustedProxies, durations);
  const refuse = refuseHeaders({ calls, log: platform.log, limits }, answerLargeHeaders);
  const proxies = new Networks([...config.trustedCallers, ...config.trustedProxies]);
  const edge = { certificates: platform.certificates, limits, memory, refuse, proxies };
  const { http, httpPort, onRequest } = await listenHttp(config.httpAddress, edge);
  const httpAddress = formatAddress({ ...config.httpAddress, port: httpPort });
  const publicUrl = config.publicUrl ?? `${config.tls ? 'https' : 'http'}://${httpAddress}`;
  const strength = overrides.strength ?? new PasswordStrength();
  const nouns = buildNouns(config, platform, { publicUrl, httpAddress }, strength);
  const parts = { config, platform, nouns, publicUrl };
  // Callers learn to go elsewhere first, and streams end a little later.
  const draining = new AbortController();
  const stopping = new AbortController();
  const { services = [] } = overrides;
  const serving = buildServing(parts, services, { calls, limits, memory }, stopping.signal);
  const grpc = new GrpcListener(serving, platform.certificates, config);
  const grpcPort = await grpc.listen(config.grpcAddress);

  const background = new Background(parts, draining.signal);
  const look = () => readiness(background.checks());
  let isReady = false;
  const shown = { ...nouns, platform, durations, serving, isReady: () => isReady };
  describeMetrics(platform.metrics, shown);
  const path = metricsOf(config, platform, calls);
  const metrics = await listenMetrics(config, { edge, path, log: platform.log });
  const { path: metricsPath } = metrics;
  onRequest(buildHttp(parts, serving, { look, grpcPort, stopping: stopping.signal, metricsPath }));
  const ready = background.bringUp().then(async () => {
    const showHealth = async () => {
      const { serves } = await look();
      isReady = serves !== 'nothing';
      grpc.setServing(serves);
    };
    await showHealth();
    background.every(READINESS_MS, 'readiness', showHealth);
  });

  return {
    grpcAddress: formatAddress({ ...config.grpcAddress, port: grpcPort }),
    httpAddress,
    metricsAddress: metrics.address ?? httpAddress,
    publicUrl,
    ready,
    readiness: look,
    reload: (next) => reload(platform, nouns, next),
    async stop() {
      draining.abort();
      isReady = false;
      grpc.setServing('nothing');
      await sleep(Math.min(DRAIN_NOTICE_MS, config.shutdownGraceMs / 10));
      stopping.abort();
      await Promise.all([grpc.close(config.shutdownGraceMs), http.close(config.shutdownGraceMs)]);
      await ready.catch(() => {});
      await background.stop();
      await flush(nouns);
      nouns.mail?.close();
      if (!overrides.strength) await strength.close();
      await closePlatform(platform);
      await metrics.close();
    },
  };
}

function reload(platform: Platform, nouns: Nouns, next: Config): void {
  if (next.databaseUrl !== undefined) platform.sql.setUrl(next.databaseUrl);
  if (next.redisUrl !== undefined) platform.hints.setUrl(next.redisUrl);
  if (next.smtpUrl !== undefined) nouns.mail?.setUrl(next.smtpUrl);
  if (next.masterKeys !== undefined) platform.keyring.replace(next.masterKeys);
  nouns.providers.replace(providersOf(next, nouns.testProvider));
  void platform.certificates?.look();
}

async function flush({ auditQueue, keyUsage, scopeUse, shadowDenials }: Nouns): Promise<void> {
  for (const waiting of [auditQueue, keyUsage, scopeUse, shadowDenials]) await waiting.flush();
}

async function closePlatform({ certificates, hints, redis, sql, tracer }: Platform): Promise<void> {
  certificates?.close();
  hints.close();
  redis?.disconnect();
  await sql.close();
  await tracer.close();
}

/** The test provider stands in for those that are not configured. */
function providersOf({ providers }: Config, testProvider: ProviderSettings | undefined) {
  return testProvider && providers.length === 0 ? [testProvider] : providers;
}

type Platform = Awaited<ReturnType<typeof buildPlatform>>;

async function buildPlatform(config: Config, overrides: Overrides) {
  const databaseClock = new DatabaseClock(overrides.machineClock ?? systemClock);
  const clock = overrides.clock ?? databaseClock;
  const log = createLog(config.logLevel, overrides.logDestination);
  const certificates = config.tls ? await Certificates.open(config.tls, log) : undefined;
  const keyring = new Keyring(config.masterKeys ?? (await masterKeyIn(config.dataDir)));
  const tracer = await startTracer(config.tracing, log);
  const sql = await openDatabase(config, log, { tracer });
  const breakers = new Breakers(log);
  const { redisUrl } = config;
  const redis = redisUrl === undefined ? undefined : connectRedis(redisUrl, log, breakers);
  const hints = redis && redisUrl ? redisHints(redis, redisUrl, log) : noHints;
  const jobs = new Jobs(sql, log);
  const metrics = new Metrics();
  const platform = { clock, databaseClock, log, tracer, metrics, breakers, certificates, keyring };
  return { ...platform, sql, redis, hints, jobs };
}

/** Opens the HTTP listener before anything can answer on it: its port may be part of the issuer's name. */
async function listenHttp(address: Address, edge: HttpEdge) {
  let handler: HttpHandler = (_req, res) => {
    res.statusCode = 503;
    res.end();
  };
  const http = new HttpServer((req, res) => handler(req, res), edge);
  const httpPort = await http.listen(address);
  const onRequest = (next: HttpHandler) => {
    handler = next;
  };
  return { http, httpPort, onRequest };
}

type MetricsPlace = {
  /** Undefined: on the HTTP listener. */
  address: string | undefined;
  /** What the HTTP listener serves of it. */
  path: [string, Endpoint][];
  close(): Promise<void>;
};

/** Opens the listener of `/metrics` if it has one of its own. */
async function listenMetrics(
  { metricsAddress: address }: Config,
  { edge, path, log }: { edge: HttpEdge; path: [string, Endpoint][]; log: Log },
): Promise<MetricsPlace> {
  if (!address) return { address: undefined, path, close: async () => {} };
  const { http, httpPort, onRequest } = await listenHttp(address, {
    ...edge,
    certificates: undefined,
  });
  onRequest(endpointsAt(path, edge.limits, log));
  return {
    address: formatAddress({ ...address, port: httpPort }),
    path: [],
    close: () => http.close(0),
  };
}

function endpointsAt(paths: [string, Endpoint][], limits: Limits, log: Log): HttpHandler {
  return sidecar(new Map(paths), limits, (error) =>
    log.error({ component: 'http', ...errorFields(error) }, 'endpoint failed'),
  );
}

function metricsOf(
  { metricsAddress, metricsNetworks }: Config,
  { metrics }: Platform,
  calls: CallFactory,
): [string, Endpoint][] {
  const isAnyone = metricsAddress !== undefined && metricsNetworks.length === 0;
  const isReader = isAnyone ? () => true : fromNetworks(metricsNetworks, calls);
  return [['/metrics', metricsEndpoint(metrics, isReader)]];
}

type Nouns = ReturnType<typeof buildNouns>;
type Parts = { config: Config; platform: Platform; nouns: Nouns; publicUrl: string };

function buildNouns(
  config: Config,
  platform: Platform,
  { publicUrl, httpAddress }: { publicUrl: string; httpAddress: string },
  strength: PasswordStrength,
) {
  const { clock, databaseClock, log, tracer, breakers, sql, keyring, redis, hints, jobs } = platform;
  // Code that follows tables and keeps memories has no caller, and uses the database directly.
  const { stalenessLimitMs } = config;
  const follower = { database: sql, clock, log, keyring, hints, stalenessLimitMs };
  const issuer = config.issuer ?? publicUrl;
  const tokens = { ...config, issuer, audience: config.audience ?? issuer };
  const keys = new KeySet(sql, keyring, hints);
  const revocations = new RevocationFeed({ ...config, ...follower, databaseClock, keys });
  const roles = new RoleBook(follower);
  const apiKeyMemory = new ApiKeyMemory({ ...config, ...follower, revocations });
  const keyUsage = new KeyUsage(sql, log);
  const keyLimits = new KeyLimits(redis);
  const outbox = new Outbox(jobs, keyring);
  const passwords = new PasswordHasher(config.argon2, log, tracer);
  const passwordPolicy = buildPasswordPolicy(config, platform, strength);
  const keyLookups = new KeyLookups(config.rateLimits);
  const following = { ...follower, roles, revocations, apiKeyMemory };
  const judges = { ...following, keyLimits, keyLookups, keyUsage };
  const verifier = new AccessTokenVerifier({ ...following, ...config, keys, tokens });
  const apiKeyVerifier = new ApiKeyVerifier(judges);
  const auditTrail = new AuditTrail(follower);
  const testProvider = config.testProvider ? testProviderAt(httpAddress) : undefined;
  const database = new Database(sql, clock, { outbox, revocations }, databaseShares(config));
  return {
    ...buildMail(config, platform),
    languages: languagesOf(config, log),
    tokens,
    keys,
    revocations,
    outages: revocations.outages,
    roles,
    outbox,
    errands: new Errands(jobs, keyring),
    database,
    auditQueue: new AuditQueue(sql, clock, log),
    auditTrail,
    verifying: new Set<symbol>(),
    passwords,
    passwordPolicy,
    newPasswords: new NewPasswords(passwords, passwordPolicy, config.passwords.history),
    relyingParty: relyingParty(config, publicUrl),
    providers: new Providers(providersOf(config, testProvider), platform),
    testProvider,
    signInCounts: new SignInCounts(),
    tokenIssuer: new TokenIssuer({ clock, keyring, keys, roles, tokens }),
    verifiers: { verifier, apiKeyVerifier, audience: tokens.audience },
    verifier,
    rules: new Rules(tokens.audience, config.exchangeAudiences),
    internalTokens: new InternalTokens({ ...following, ...config, keys, tokens }),
    workloadTokens: new WorkloadTokens({ ...config, clock, log, breakers }),
    apiKeyMemory,
    keyUsage,
    apiKeyVerifier,
    keyLimits,
    keyLookups,
    scopeUse: new ScopeUse(follower),
    shadowDenials: new ShadowDenials(follower),
    ...buildWebhooks(config, platform, { database, auditTrail }),
  };
}

/** One principal may use three quarters of the connections for calls: the others find the rest. */
function databaseShares({ database: { poolMax, acquireTimeoutMs } }: Config): Shares {
  const share = Math.max(1, Math.floor((3 * poolMax) / 4));
  const refusal = 'too many calls of yours wait for the database; try again in a moment';
  return new Shares(share, acquireTimeoutMs, refusal);
}

function buildWebhooks(
  config: Config,
  platform: Platform,
  { database, auditTrail }: { database: Database; auditTrail: AuditTrail },
) {
  const webhookTargets = new WebhookTargets(config.webhooks);
  const webhookLanes = new WebhookLanes({ ...platform, database, webhookTargets });
  const fanOut = new FanOut({ ...platform, database: platform.sql, auditTrail });
  fanOut.listeners.add(webhookLanes.wake);
  return { webhookTargets, webhookLanes, fanOut };
}

function buildPasswordPolicy(config: Config, platform: Platform, strength: PasswordStrength) {
  const { minLength, pwnedPasswordsUrl: url } = config.passwords;
  const breached = url === undefined ? undefined : new BreachedPasswords(url, platform);
  return new PasswordPolicy({ minLength, strength, breached });
}

/** Without a mail server, mail goes to the mailbox where there is one, or waits. */
function buildMail(config: Config, { clock, breakers }: Pick<Platform, 'clock' | 'breakers'>) {
  const { smtpUrl, mailbox: shownTo, dataDir } = config;
  const mailbox = shownTo === 'off' ? undefined : new Mailbox(dataDir, () => clock.now());
  const mail: MailTransport | undefined =
    smtpUrl === undefined ? mailbox : smtpTransport(smtpUrl, breakers);
  return { mailbox, mail };
}

/** The operator's texts. What is missing is in English; a file that can't be used ends the start. */
function languagesOf({ templatesDir }: Config, log: Log): Languages {
  const { languages, problems, gaps } = readTexts(templatesDir);
  if (problems.length > 0) {
    throw new ConfigError(problems.map((problem) => `COUNTERSIGN_TEMPLATES_DIR: ${problem}`));
  }
  for (const gap of gaps) log.warn({ component: 'texts' }, gap);
  return languages;
}

/**
 * Builds the services of both listeners and their interceptors, in order. Each call has its request id
 * and trace before the first of them, from `CallFactory`: refusals by the listener carry them too.
 */
function buildServing(
  { config, platform, nouns, publicUrl }: Parts,
  others: readonly Service[],
  { calls, limits, memory }: Pick<Serving, 'calls' | 'limits' | 'memory'>,
  stopping: AbortSignal,
) {
  const { clock, log, redis, tracer } = platform;
  const { revocations, roles, apiKeyMemory, scopeUse, verifiers } = nouns;
  const deps: Dependencies = { ...config, ...platform, ...nouns, limits };
  const limiter = config.rateLimits ? rateLimits(redis, config.rateLimitTiers) : noRateLimits;
  return {
    deps,
    limiter,
    services: [
      service(AccountService, accountService(deps)),
      service(AdminService, adminService(deps)),
      service(ApiKeyService, apiKeyService(deps)),
      service(AuditService, auditService(deps)),
      service(AuthService, authService(deps)),
      service(Authorization, authorizationService(deps), AUTHORIZATION_TERMS),
      service(SessionService, sessionService(deps)),
      service(WebhookService, webhookService(deps)),
      ...others,
    ],
    interceptors: [
      ...(config.tracing ? [tracing(tracer)] : []),
      logging(log),
      errors,
      shutdown(stopping),
      deadline,
      authentication(verifiers),
      access({
        clock,
        rateLimits: limiter,
        trustedCallers: config.trustedCallers,
        database: nouns.database,
        scopeUse,
      }),
      standing({ clock, verifiers, revocations, roles, apiKeyMemory, limits, scopeUse }),
      browserSession({ clock, origins: [...ownOrigins(publicUrl), ...config.corsOrigins] }),
      validation,
    ],
    calls,
    log,
    limits,
    memory,
  };
}

function buildHttp(
  { config, platform, nouns, publicUrl }: Parts,
  serving: ReturnType<typeof buildServing>,
  of: {
    look: () => Promise<Readiness>;
    grpcPort: number;
    stopping: AbortSignal;
    metricsPath: [string, Endpoint][];
  },
): HttpHandler {
  const { log } = platform;
  const { keys, tokens, mailbox, testProvider } = nouns;
  const frame = new PageFrame(config.brand);
  // Before the guard of origins: what a proxy asks for its clients has their hosts and origins.
  const verify = verifyEndpoint({ ...config, ...nouns, serving, deps: serving.deps });
  const { deps, limiter } = serving;
  const asking = { ...config, ...deps, verifiers: nouns.verifiers, rateLimits: limiter };
  const oauth = oauthDoor(oauthEndpoints(asking), { ...config, serving });
  const test = testProvider && testProviderEndpoints(testProvider, systemClock, frame);
  const testToken = test && oauthDoor(test.token, { ...config, serving }, TEST_PROVIDER_PATH);
  const guard = originGuard(config);
  const open = {
    services: reflection(serving.services.map(({ descriptor }) => descriptor.file)),
    interceptors: [errors, shutdown(of.stopping)],
  };
  const rpc = connectListener(serving, { ...config, open, grpcPort: of.grpcPort });
  const discovery = discoveryEndpoint({ ...config, issuer: tokens.issuer, publicUrl });
  const paths: [string, Endpoint][] = [
    ['/.well-known/jwks.json', jwksEndpoint(keys)],
    ['/.well-known/openid-configuration', discovery],
    ['/.well-known/oauth-authorization-server', discovery],
    ['/healthz', healthzEndpoint],
    ['/readyz', readyzEndpoint(of.look)],
    ...of.metricsPath,
    ...tokenPages({ ...config, ...config.passwords, frame, languages: nouns.languages }),
  ];
  if (config.devApp) paths.push(devApp(frame));
  if (test) paths.push(...test.pages);
  if (mailbox) paths.push(...mailboxPages(mailbox, frame, config.mailbox === 'anyone'));
  if (config.docs) paths.push(...docsPages({ ...config, isEmbedded: config.devApp && !!mailbox }));
  const endpoints = endpointsAt(paths, serving.limits, log);
  return (req, res) => {
    if (verify(req, res) || oauth(req, res) || testToken?.(req, res)) return;
    if (!guard(req, res) && !rpc(req, res)) endpoints(req, res);
  };
}
