import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { connectJson } from '../load/connect-json.ts';
import { insertKeys } from '../load/verification.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** The check of a known key by the protocol of most programs. */
export const verifyApiKeyJson: Row = {
  name: 'VerifyApiKeyJson',
  about: 'ApiKeyService/VerifyApiKey by Connect in JSON over HTTP/1.1, against a bare echo',
  target: 0.5,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const [secret = ''] = await insertKeys(service, 1);
    const request = { secret, requiredScopes: ['users.read'] };
    return connectJson(cleanups, service, ApiKeyService.method.verifyApiKey, request);
  },
};
