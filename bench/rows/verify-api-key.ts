import { againstEcho } from '../load/against-echo.ts';
import { insertKeys, verification } from '../load/verification.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** The check of a known key for a caller from a network that the operator trusts. */
export const verifyApiKey: Row = {
  name: 'VerifyApiKey',
  about: 'ApiKeyService/VerifyApiKey of one key, trusted caller, against a bare echo',
  target: 1,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const [secret = ''] = await insertKeys(service, 1);
    return againstEcho(cleanups, service, verification(secret));
  },
};
