import type { Http1Request } from '../load/http1.ts';
import type { Contestant } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { emptyDatabase } from '../service/databases.ts';
import { PASSWORD } from '../service/passwords.ts';
import {
  askJson,
  postForm,
  type Repeated,
  repeated,
  singleCheck,
  varied,
} from './http-contestants.ts';
import { BENCH_CLIENT, type Realm } from './keycloak-realm.ts';
import { startKeycloakServer } from './keycloak-server.ts';
import type { Peer } from './peer.ts';
import { CROWD, loginEmail, PEOPLE, SIGN_IN_CROWD } from './people.ts';

type Tokens = { access_token: string; refresh_token: string };

/** Starts the Keycloak of an unpacked archive on a database of its own on the server. */
export async function startKeycloak(
  cleanups: Cleanups,
  serverUrl: string,
  home: string,
): Promise<Peer> {
  const databaseUrl = await emptyDatabase(cleanups, serverUrl, 'keycloak');
  const server = await startKeycloakServer(cleanups, databaseUrl, home);
  const { address } = server;
  const check = await introspection(address);
  const credentials = call('reusable', 'token', { grant_type: 'client_credentials' });
  return {
    name: 'Keycloak',
    version: server.version,
    memory: server.memory,
    works: {
      TokenCheck: [repeated(cleanups, check)],
      Exchange: [
        repeated(cleanups, {
          name: 'Keycloak, JWT',
          address,
          request: credentials,
          expect: ({ status, body }) => status === 200 && body.includes('access_token'),
        }),
      ],
      Refresh: [
        await refreshes(address, 'reusable', 'Keycloak, reusable tokens'),
        await refreshes(address, 'once', 'Keycloak, one-use tokens'),
      ],
      Login: [logins(address)],
    },
    checks: [singleCheck(cleanups, check)],
  };
}

function call(realm: Realm, path: string, form: Record<string, string>): Http1Request {
  return postForm(`/realms/${realm}/protocol/openid-connect/${path}`, form, BENCH_CLIENT);
}

function signIn(realm: Realm, person: number): Http1Request {
  const form = { grant_type: 'password', username: loginEmail(person), password: PASSWORD };
  return call(realm, 'token', form);
}

async function introspection(address: string): Promise<Repeated> {
  const { access_token: token } = await askJson<Tokens>(address, signIn('reusable', 0));
  return {
    name: 'Keycloak',
    address,
    request: call('reusable', 'token/introspect', { token }),
    expect: ({ status, body }) => status === 200 && body.includes('"active":true'),
  };
}

async function refreshes(address: string, realm: Realm, name: string): Promise<Contestant> {
  const tokens: string[] = [];
  for (let person = 0; person < CROWD; person += 1) {
    const { refresh_token } = await askJson<Tokens>(address, signIn(realm, person));
    tokens.push(refresh_token);
  }
  return varied({
    name,
    address,
    connections: CROWD,
    next: (index) =>
      call(realm, 'token', {
        grant_type: 'refresh_token',
        refresh_token: tokens[index] ?? '',
      }),
    took: ({ body }, index) => {
      tokens[index] = (JSON.parse(body) as Tokens).refresh_token;
    },
  });
}

function logins(address: string): Contestant {
  let turn = 0;
  return varied({
    name: 'Keycloak',
    address,
    connections: SIGN_IN_CROWD,
    next: () => signIn('reusable', turn++ % PEOPLE),
    took: () => {},
  });
}
