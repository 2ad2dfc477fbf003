import { inRotation } from '../load/in-rotation.ts';
import { introspection } from '../load/introspection.ts';
import { Mint } from '../load/mint.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

const TOKENS = 10_000;

/** Measures whether the check of a known token costs the same however many are known. */
export const introspectTokenMany: Row = {
  name: 'IntrospectTokenMany',
  about: 'SessionService/IntrospectToken of 10,000 tokens in rotation, against one of them',
  target: 0.85,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const mint = await Mint.of(service);
    const tokens = await Promise.all(Array.from({ length: TOKENS }, () => mint.token()));
    const questions = tokens.map((token) => introspection(token));
    return inRotation(service, 'tokens', questions);
  },
};
