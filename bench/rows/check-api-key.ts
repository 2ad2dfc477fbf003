import { againstEcho } from '../load/against-echo.ts';
import { check } from '../load/check.ts';
import { insertKeys } from '../load/verification.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** What Envoy asks about a request with an API key. */
export const checkApiKey: Row = {
  name: 'CheckApiKey',
  about: 'the same of one API key',
  target: 0.7,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const [secret = ''] = await insertKeys(service, 1);
    return againstEcho(cleanups, service, check(secret));
  },
};
