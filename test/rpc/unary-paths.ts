import { describe } from 'node:test';
import { PROTOCOLS, type Protocol } from '../harness/clients.ts';
import { DIALECTS, type Dialect } from './wire.ts';

/** A way to serve unary calls, with the protocols for which it makes a difference. */
export type UnaryPath = {
  fastPath: 'on' | 'off';
  env: { COUNTERSIGN_UNARY_FAST_PATH: 'on' | 'off' };
  protocols: readonly Protocol[];
  dialects: readonly Dialect[];
};

const PATHS: readonly UnaryPath[] = [
  pathOf('on', { protocols: PROTOCOLS, dialects: DIALECTS }),
  pathOf('off', {
    protocols: PROTOCOLS.filter((each) => each !== 'grpc-web'),
    dialects: DIALECTS.filter((each) => each !== 'grpc-web'),
  }),
];

function pathOf(fastPath: 'on' | 'off', rest: Pick<UnaryPath, 'protocols' | 'dialects'>) {
  return { fastPath, env: { COUNTERSIGN_UNARY_FAST_PATH: fastPath }, ...rest };
}

/** A suite that runs with the fast path for unary calls, and without it for what it takes. */
export function describeBothPaths(name: string, suite: (path: UnaryPath) => void): void {
  for (const path of PATHS) describe(`${name} (fast path ${path.fastPath})`, () => suite(path));
}
