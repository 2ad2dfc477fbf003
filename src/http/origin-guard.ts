import { cors } from '@connectrpc/connect';
import { SESSION_MODE } from '../rpc/call.ts';
import type { NodeRequest, NodeResponse } from '../rpc/connect/node-request.ts';

const PREFLIGHT_MAX_AGE_SECONDS = 7200;

const ALLOWED_HEADERS = ['authorization', 'x-request-id', 'traceparent', SESSION_MODE];

export type OriginSettings = { allowedHosts: readonly string[]; corsOrigins: readonly string[] };

/** What pages may read of an answer, in addition to what the protocols need. */
const EXPOSED = ['x-request-id', 'retry-after', 'ratelimit', 'ratelimit-policy'];

/** A name or an address, with or without a port. */
const AUTHORITY = /^(?:[\w.-]{1,255}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i;

type Guard = (req: NodeRequest, res: NodeResponse) => boolean;

/**
 * Refuses requests that name no host, or one that is not served here (DNS rebinding). The returned
 * function returns whether it has answered.
 */
export function hostGuard({ allowedHosts }: Pick<OriginSettings, 'allowedHosts'>): Guard {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  /** Most requests name the same host as the one before. */
  let served = '';
  return (req, res) => {
    const authority = authorityOf(req);
    if (authority === served) return false;
    if (!isAuthority(authority)) return refused(res, 400);
    if (hosts.size > 0 && !hosts.has(hostOf(req))) return refused(res, 421);
    served = authority;
    return false;
  };
}

/**
 * Also answers CORS preflights from the origins that may call, with the cookie of a session if they like,
 * and lets those read answers.
 */
export function originGuard({ allowedHosts, corsOrigins }: OriginSettings): Guard {
  const isOtherHost = hostGuard({ allowedHosts });
  const origins = new Set(corsOrigins);
  return (req, res) => {
    if (isOtherHost(req, res)) return true;
    // Even if the answer names no origin: a cache must not serve it to an origin that may call.
    if (origins.size > 0) res.setHeader('vary', 'origin');
    const origin = req.headers.origin;
    if (origin === undefined || !origins.has(origin)) return false;
    res.setHeader('access-control-allow-origin', origin);
    res.setHeader('access-control-allow-credentials', 'true');
    res.setHeader('access-control-expose-headers', [...cors.exposedHeaders, ...EXPOSED].join(', '));
    if (req.method !== 'OPTIONS') return false;
    res.setHeader('access-control-allow-methods', cors.allowedMethods.join(', '));
    res.setHeader(
      'access-control-allow-headers',
      [...cors.allowedHeaders, ...ALLOWED_HEADERS].join(', '),
    );
    res.setHeader('access-control-max-age', String(PREFLIGHT_MAX_AGE_SECONDS));
    res.statusCode = 204;
    res.end();
    return true;
  };
}

function refused(res: NodeResponse, status: number): true {
  res.statusCode = status;
  res.end();
  return true;
}

function isAuthority(text: string): boolean {
  return AUTHORITY.test(text) && Number(/:(\d+)$/.exec(text)?.[1] ?? 0) <= 65_535;
}

function authorityOf(req: NodeRequest): string {
  return String(req.headers[':authority'] ?? req.headers.host ?? '');
}

/** The host that a request names, without its port. */
export function hostOf(req: NodeRequest): string {
  return authorityOf(req).replace(/:\d+$/, '').toLowerCase();
}
