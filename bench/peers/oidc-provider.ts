import type { Http1Request } from '../load/http1.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { emptyDatabase } from '../service/databases.ts';
import { askJson, postForm, type Repeated, repeated, singleCheck } from './http-contestants.ts';
import { installedVersion, type Peer, startScript } from './peer.ts';

const CLIENT = { id: 'bench', secret: 'secret-of-the-bench' };
const CREDENTIALS = { grant_type: 'client_credentials' };

type Store = 'memory' | 'PostgreSQL';

/** Starts oidc-provider with its tokens in memory, or in a table on the server. */
export async function startOidcProvider(
  cleanups: Cleanups,
  serverUrl: string,
  store: Store,
): Promise<Peer> {
  const env: Record<string, string> =
    store === 'memory'
      ? {}
      : { DATABASE_URL: await emptyDatabase(cleanups, serverUrl, 'oidc_provider') };
  const { address, memory } = await startScript(cleanups, 'oidc-provider.mjs', env);
  const check = await introspection(address, store);
  const opaque = postForm('/token', CREDENTIALS, CLIENT);
  const jwt = postForm('/token', { ...CREDENTIALS, resource: 'https://api.example.com' }, CLIENT);
  const grant = (kind: string, request: Http1Request) =>
    repeated(cleanups, {
      name: `oidc-provider, ${kind}`,
      address,
      request,
      expect: ({ status, body }) => status === 200 && body.includes('access_token'),
    });
  return {
    name: `oidc-provider, ${where(store)}`,
    version: installedVersion('oidc-provider'),
    memory,
    works: {
      TokenCheck: [repeated(cleanups, check)],
      Exchange:
        store === 'memory'
          ? [grant('opaque, in memory', opaque)]
          : [grant('opaque, PostgreSQL', opaque), grant('JWT', jwt)],
    },
    // In memory the token is gone by then: there is room for a thousand.
    checks: store === 'memory' ? [] : [singleCheck(cleanups, check)],
  };
}

async function introspection(address: string, store: Store): Promise<Repeated> {
  type Granted = { access_token: string };
  const { access_token: token } = await askJson<Granted>(
    address,
    postForm('/token', CREDENTIALS, CLIENT),
  );
  return {
    name: `oidc-provider, ${where(store)}`,
    address,
    request: postForm('/token/introspection', { token }, CLIENT),
    expect: ({ status, body }) => status === 200 && body.includes('"active":true'),
  };
}

function where(store: Store): string {
  return store === 'memory' ? 'in memory' : 'PostgreSQL';
}
