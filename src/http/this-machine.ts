import { isLoopback } from '../platform/net.ts';
import type { NodeRequest } from '../rpc/connect/node-request.ts';
import { hostOf } from './origin-guard.ts';
import { type Endpoint, json } from './sidecar.ts';

/** What proxies add to requests that they pass on, some of them without being told to. */
const PROXY_HEADER =
  /^(?:forwarded|via|x-real-ip|x-client-ip|true-client-ip|cf-.+|x-forwarded-.+|x-envoy-.+)$/;

/**
 * Shows an endpoint to callers on this machine only: not to those behind a proxy on it, nor to pages
 * whose own name resolves to it (DNS rebinding), nor to pages of other machines, even if they may call the
 * service. Others are told `error`.
 */
export function forThisMachine(endpoint: Endpoint, error: string): Endpoint {
  return (req) => {
    const isOwn = isLoopback(req.socket.remoteAddress ?? '') && isLoopback(hostOf(req));
    const isPassedOn = isProxied(req) || isHttp10(req);
    return isOwn && !isPassedOn && !isForeignPage(req) ? endpoint(req) : json(403, { error });
  };
}

/** No browser speaks it, but nginx does, which adds no header unless it is told to. */
function isHttp10({ httpVersion }: NodeRequest): boolean {
  return httpVersion === '1.0';
}

/** Whether a page asks that did not come from this machine. Browsers leave `origin` out of visits. */
function isForeignPage({ headers: { origin } }: NodeRequest): boolean {
  return origin !== undefined && !(URL.canParse(origin) && isLoopback(new URL(origin).hostname));
}

/** Whether a proxy says that it has passed a request on. */
export function isProxied({ headers }: NodeRequest): boolean {
  return Object.keys(headers).some((name) => PROXY_HEADER.test(name));
}
