import type { Service } from '../../harness/service.ts';
import type { Labels } from '../scrape.ts';

/** By how much a sum of samples has grown, or what holds for it. */
export type Expected = [name: string, labels: Labels, value: number | ((value: number) => boolean)];

/** A service that may send webhooks to two targets, one of which refuses them. */
export type Observed = Service & { targets: { good: string; bad: string } };

/** Does something to a service, and returns what its metrics should say then. */
export type Script = { does: string; run(service: Observed): Promise<Expected[]> };
