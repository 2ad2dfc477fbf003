import { isLoopback } from '../platform/net.ts';
import type { NodeRequest } from '../rpc/connect/node-request.ts';
import { hostOf } from './origin-guard.ts';
import { type Endpoint, json } from './sidecar.ts';

/** What proxies add to requests that they pass on. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/**
 * Shows an endpoint to callers on this machine only: not to those behind a proxy on it, nor to pages
 * whose own name resolves to it (DNS rebinding). Others are told `error`.
 */
export function forThisMachine(endpoint: Endpoint, error: string): Endpoint {
  return (req) => {
    const isOwn = isLoopback(req.socket.remoteAddress ?? '') && isLoopback(hostOf(req));
    return isOwn && !isProxied(req) ? endpoint(req) : json(403, { error });
  };
}

/** Whether a proxy says that it has passed a request on. */
export function isProxied({ headers }: NodeRequest): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined);
}
