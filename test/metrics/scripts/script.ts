import type { Service } from '../../harness/service.ts';
import type { Labels } from '../scrape.ts';

/** By how much a sum of samples has grown, or what holds for it. */
export type Expected = [name: string, labels: Labels, value: number | ((value: number) => boolean)];

/** Does something to a service, and returns what its metrics should say then. */
export type Script = { does: string; run(service: Service): Promise<Expected[]> };
