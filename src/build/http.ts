import type { Config } from '../config.ts';
import { TEST_PROVIDER_PATH } from '../federation/test-provider.ts';
import { devApp } from '../http/dev-app.ts';
import { docsPages } from '../http/docs-page.ts';
import { healthzEndpoint, readyzEndpoint } from '../http/health.ts';
import { type HttpEdge, type HttpHandler, HttpServer } from '../http/http-server.ts';
import { mailboxPages } from '../http/mailbox-page.ts';
import { fromNetworks, metricsEndpoint } from '../http/metrics-endpoint.ts';
import { oauthDoor } from '../http/oauth/oauth-door.ts';
import { oauthEndpoints } from '../http/oauth/oauth-endpoints.ts';
import { originGuard } from '../http/origin-guard.ts';
import { PageFrame } from '../http/page.ts';
import { type Endpoint, sidecar } from '../http/sidecar.ts';
import { testProviderEndpoints } from '../http/test-provider/test-provider-endpoints.ts';
import { tokenPages } from '../http/token-pages.ts';
import { verifyEndpoint } from '../http/verify.ts';
import { discoveryEndpoint, jwksEndpoint } from '../http/well-known.ts';
import { systemClock } from '../platform/clock.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { type Address, formatAddress } from '../platform/net.ts';
import type { Readiness } from '../platform/readiness.ts';
import type { CallFactory } from '../rpc/call.ts';
import { connectListener } from '../rpc/connect/listener.ts';
import { errors } from '../rpc/interceptors/errors.ts';
import { shutdown } from '../rpc/interceptors/shutdown.ts';
import type { Limits } from '../rpc/limits.ts';
import { reflection } from '../rpc/reflection/reflection.ts';
import type { Parts } from './nouns.ts';
import type { Platform } from './platform.ts';
import type { buildServing } from './serving.ts';

/** Opens the HTTP listener before anything can answer on it: its port may be part of the issuer's name. */
export async function listenHttp(address: Address, edge: HttpEdge) {
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
export async function listenMetrics(
  config: Config,
  platform: Platform,
  { edge, calls }: { edge: HttpEdge; calls: CallFactory },
): Promise<MetricsPlace> {
  const { metricsAddress: address } = config;
  const path = metricsOf(config, platform, calls);
  if (!address) return { address: undefined, path, close: async () => {} };
  const { http, httpPort, onRequest } = await listenHttp(address, {
    ...edge,
    certificates: undefined,
  });
  onRequest(endpointsAt(path, edge.limits, platform.log));
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

export function buildHttp(
  { config, platform, nouns, publicUrl }: Parts,
  serving: ReturnType<typeof buildServing>,
  of: {
    look: () => Promise<Readiness>;
    grpcPort: number;
    stopping: AbortSignal;
    metrics: Pick<MetricsPlace, 'path'>;
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
    ...of.metrics.path,
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
