import type { Metrics } from '../platform/metrics.ts';
import { isLoopback } from '../platform/net.ts';
import { Networks } from '../platform/networks.ts';
import type { CallFactory } from '../rpc/call.ts';
import { plainAddress } from '../rpc/caller-address.ts';
import type { NodeRequest } from '../rpc/connect/node-request.ts';
import { headerText } from '../rpc/headers.ts';
import { type Endpoint, json } from './sidecar.ts';
import { isProxied } from './this-machine.ts';

/** `/metrics`, in the text format of Prometheus, for those who may read it. Others find nothing. */
export function metricsEndpoint(
  metrics: Metrics,
  isReader: (req: NodeRequest) => boolean,
): Endpoint {
  return async (req) =>
    isReader(req)
      ? { status: 200, type: metrics.contentType, body: await metrics.text() }
      : json(404, { error: 'not found' });
}

/**
 * Whether a request comes from this machine or from one of these networks. Only a trusted proxy is
 * believed whom it asks for; a request that has passed another proxy comes from nobody.
 */
export function fromNetworks(
  networks: readonly string[],
  calls: CallFactory,
): (req: NodeRequest) => boolean {
  const open = new Networks(networks);
  return (req) => {
    const peer = plainAddress(req.socket.remoteAddress ?? '');
    const from = calls.addressOf((name) => headerText(req.headers[name]), peer);
    // A proxy that does not say whom it asks for, or says that it is itself.
    const isProxyItself = isProxied(req) && from.ipAddress === peer;
    if (!from.addressIsCertain || isProxyItself) return false;
    // A proxy elsewhere has a loopback of its own.
    const isOwnMachine = isLoopback(from.ipAddress) && isLoopback(peer);
    return isOwnMachine || open.includes(from.ipAddress);
  };
}
