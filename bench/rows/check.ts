import { againstEcho } from '../load/against-echo.ts';
import { check } from '../load/check.ts';
import { Mint } from '../load/mint.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** What Envoy asks about a request with an access token. */
export const checkToken: Row = {
  name: 'Check',
  about: "Envoy's Authorization/Check of one access token, trusted proxy, against a bare echo",
  target: 0.7,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const mint = await Mint.of(service);
    return againstEcho(cleanups, service, check(await mint.administratorsToken()));
  },
};
