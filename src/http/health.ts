import type { Readiness } from '../platform/readiness.ts';
import { type Endpoint, json } from './sidecar.ts';

/** Answers as long as the process is alive. */
export const healthzEndpoint: Endpoint = () => json(200, { status: 'ok' });

/**
 * Says whether the replica should get calls: 200 if it is ready or degraded, else 503. A replica that
 * answers from memory is degraded.
 */
export function readyzEndpoint(look: () => Promise<Readiness>): Endpoint {
  return async () => {
    const readiness = await look();
    return json(readiness.status === 'not ready' ? 503 : 200, readiness);
  };
}
