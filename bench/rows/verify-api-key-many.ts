import { inRotation } from '../load/in-rotation.ts';
import { insertKeys, verification } from '../load/verification.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

const KEYS = 10_000;

/** Measures whether the check of a known key costs the same however many are known. */
export const verifyApiKeyMany: Row = {
  name: 'VerifyApiKeyMany',
  about: 'ApiKeyService/VerifyApiKey of 10,000 keys in rotation, against one of them',
  target: 0.85,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const secrets = await insertKeys(service, KEYS);
    return inRotation(service, 'keys', secrets.map(verification));
  },
};
