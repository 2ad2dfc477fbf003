import type { Readiness } from '../platform/readiness.ts';
import { type Endpoint, json } from './sidecar.ts';

/** Whether the process is alive: it answers, so it is. */
export const healthzEndpoint: Endpoint = () => json(200, { status: 'ok' });

/** Whether the replica should get calls: 200 when ready or degraded, else 503. */
export function readyzEndpoint(look: () => Promise<Readiness>): Endpoint {
  return async () => {
    const readiness = await look();
    return json(readiness.status === 'not ready' ? 503 : 200, readiness);
  };
}
