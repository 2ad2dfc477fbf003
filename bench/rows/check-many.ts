import { check } from '../load/check.ts';
import { inRotation } from '../load/in-rotation.ts';
import { Mint } from '../load/mint.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

const TOKENS = 10_000;

/** Measures whether a request of a known credential costs the same however many are known. */
export const checkMany: Row = {
  name: 'CheckMany',
  about: "Envoy's Authorization/Check of 10,000 access tokens in rotation, against one of them",
  target: 0.85,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const mint = await Mint.of(service);
    const tokens = await Promise.all(
      Array.from({ length: TOKENS }, () => mint.administratorsToken()),
    );
    return inRotation(service, 'tokens', tokens.map(check));
  },
};
