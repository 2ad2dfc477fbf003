import { setTimeout as sleep } from 'node:timers/promises';
import { Background } from './background.ts';
import { buildHttp, listenHttp, listenMetrics } from './build/http.ts';
import { buildNouns, flush, type Nouns, providersOf } from './build/nouns.ts';
import type { Overrides } from './build/overrides.ts';
import { buildPlatform, closePlatform, type Platform } from './build/platform.ts';
import { buildServing } from './build/serving.ts';
import type { Config } from './config.ts';
import { describeMetrics } from './metrics/describe-metrics.ts';
import { PasswordStrength } from './passwords/password-strength.ts';
import { formatAddress } from './platform/net.ts';
import { Networks } from './platform/networks.ts';
import { type Readiness, readiness } from './platform/readiness.ts';
import { CallFactory } from './rpc/call.ts';
import { CallDurations } from './rpc/call-durations.ts';
import { CallerMemory } from './rpc/caller-memory.ts';
import { answerLargeHeaders } from './rpc/connect/large-headers.ts';
import { GrpcListener } from './rpc/grpc/listener.ts';
import { refuseHeaders } from './rpc/large-headers.ts';
import { LIMITS } from './rpc/limits.ts';

const READINESS_MS = 1000;
/** Long enough for load balancers that ask for health once a second, and take a moment to act. */
const DRAIN_NOTICE_MS = 1500;

export type App = {
  grpcAddress: string;
  httpAddress: string;
  /** The address of the listener that serves `/metrics`. */
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
  const metrics = await listenMetrics(config, platform, { edge, calls });
  onRequest(buildHttp(parts, serving, { look, grpcPort, stopping: stopping.signal, metrics }));
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
