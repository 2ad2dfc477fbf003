import { cors } from '@connectrpc/connect';
import type { NodeRequest, NodeResponse } from '../rpc/connect-listener.ts';

const PREFLIGHT_MAX_AGE_SECONDS = 7200;

export type OriginSettings = { allowedHosts: readonly string[]; corsOrigins: readonly string[] };

/**
 * Refuses requests that name a host we don't serve (DNS rebinding), and answers CORS preflights for
 * the origins that may call. The returned function says whether it has answered the request.
 */
export function originGuard({
  allowedHosts,
  corsOrigins,
}: OriginSettings): (req: NodeRequest, res: NodeResponse) => boolean {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(corsOrigins);
  return (req, res) => {
    if (hosts.size > 0 && !hosts.has(hostOf(req))) {
      res.statusCode = 421;
      res.end();
      return true;
    }
    const origin = req.headers.origin;
    if (origin === undefined || !origins.has(origin)) return false;
    res.setHeader('access-control-allow-origin', origin);
    res.setHeader('vary', 'origin');
    res.setHeader(
      'access-control-expose-headers',
      [...cors.exposedHeaders, 'x-request-id'].join(', '),
    );
    if (req.method !== 'OPTIONS') return false;
    res.setHeader('access-control-allow-methods', cors.allowedMethods.join(', '));
    res.setHeader(
      'access-control-allow-headers',
      [...cors.allowedHeaders, 'authorization', 'x-request-id', 'traceparent'].join(', '),
    );
    res.setHeader('access-control-max-age', String(PREFLIGHT_MAX_AGE_SECONDS));
    res.statusCode = 204;
    res.end();
    return true;
  };
}

/** The host that a request names, without its port. */
function hostOf(req: NodeRequest): string {
  const authority = req.headers[':authority'] ?? req.headers.host ?? '';
  return String(authority).replace(/:\d+$/, '').toLowerCase();
}
