import { Mint } from '../load/mint.ts';
import { oauthIntrospection } from '../load/oauth-introspection.ts';
import type { Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** What gateways and resource servers off the shelf ask, from a network that needs no credential. */
export const oauthIntrospect: Row = {
  name: 'OauthIntrospect',
  about:
    '/oauth2/introspect of one access token over HTTP/1.1, trusted caller, against a bare echo',
  target: 0.5,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const token = await (await Mint.of(service)).administratorsToken();
    return oauthIntrospection(cleanups, service, token);
  },
};
