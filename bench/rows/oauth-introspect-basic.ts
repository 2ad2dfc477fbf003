import { parseSecret } from '../../src/api-keys/api-key-secret.ts';
import { Mint } from '../load/mint.ts';
import { oauthIntrospection } from '../load/oauth-introspection.ts';
import { insertKeys } from '../load/verification.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** The same for a client with an API key: two credentials are checked. */
export const oauthIntrospectBasic: Row = {
  name: 'OauthIntrospectBasic',
  about: 'the same for a client that authenticates with an API key by Basic',
  target: 0.5,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const token = await (await Mint.of(service)).administratorsToken();
    const [secret = ''] = await insertKeys(service, 1, ['tokens.introspect']);
    const parsed = parseSecret(secret);
    if (typeof parsed === 'string') throw new Error(parsed);
    const basic = Buffer.from(`${parsed.keyId}:${secret}`).toString('base64');
    return oauthIntrospection(cleanups, service, token, { authorization: `Basic ${basic}` });
  },
};
