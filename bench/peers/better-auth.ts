import type { Http1Request } from '../load/http1.ts';
import type { Contestant } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { emptyDatabase } from '../service/databases.ts';
import { PASSWORD } from '../service/passwords.ts';
import {
  askJson,
  postJson,
  type Repeated,
  repeated,
  singleCheck,
  varied,
} from './http-contestants.ts';
import { installedVersion, type Peer, startScript } from './peer.ts';
import { CROWD, loginEmail, newEmail, PEOPLE, SIGN_IN_CROWD } from './people.ts';

/** Starts better-auth on a database of its own on the server. */
export async function startBetterAuth(cleanups: Cleanups, serverUrl: string): Promise<Peer> {
  const DATABASE_URL = await emptyDatabase(cleanups, serverUrl, 'better_auth');
  const { address, memory } = await startScript(cleanups, 'better-auth.mjs', { DATABASE_URL });
  for (let person = 0; person < PEOPLE; person += 1) {
    await askJson(address, signUp(loginEmail(person)));
  }
  const session = await sessionCheck(address, 'plain', 'session');
  const cached = await sessionCheck(address, 'cached', 'session in its cookie');
  return {
    name: 'better-auth',
    version: installedVersion('better-auth'),
    memory,
    works: {
      TokenCheck: [repeated(cleanups, session), repeated(cleanups, cached)],
      ApiKeyCheck: [repeated(cleanups, await keyCheck(address))],
      Refresh: [await extensions(address)],
      SignUp: [signUps(address)],
      Login: [logins(address)],
    },
    checks: [singleCheck(cleanups, session), singleCheck(cleanups, cached)],
  };
}

/** A request as a browser makes it on the service's own page: others are refused. */
function post(path: string, value: unknown): Http1Request {
  const request = postJson(path, value);
  return { ...request, headers: { ...request.headers, origin: 'https://id.example.com' } };
}

function signUp(email: string): Http1Request {
  return post('/plain/sign-up/email', { email, password: PASSWORD, name: 'Bench' });
}

function signIn(person: number, instance: string): Http1Request {
  const body = { email: loginEmail(person), password: PASSWORD };
  return post(`/${instance}/sign-in/email`, body);
}

/** Signs a person in at an instance. Returns the cookies that it sets. */
async function cookiesOf(address: string, instance: string, person: number): Promise<string> {
  const { path, headers = {}, body = '' } = signIn(person, instance);
  const response = await fetch(`http://${address}${path}`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`better-auth: ${response.status} ${await response.text()}`);
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';', 1)[0])
    .join('; ');
}

async function sessionCheck(address: string, instance: string, what: string): Promise<Repeated> {
  return {
    name: `better-auth, ${what}`,
    address,
    request: getSession(instance, await cookiesOf(address, instance, 0)),
    expect: ({ status, body }) => status === 200 && body.includes('"session":{'),
  };
}

function getSession(instance: string, cookie: string): Http1Request {
  return { method: 'GET', path: `/${instance}/get-session`, headers: { cookie } };
}

async function keyCheck(address: string): Promise<Repeated> {
  type Person = { user: { id: string } };
  const { user } = await askJson<Person>(address, signIn(0, 'plain'));
  const { key } = await askJson<{ key: string }>(
    address,
    postJson('/create-key', { userId: user.id }),
  );
  return {
    name: 'better-auth',
    address,
    request: postJson('/verify-key', { key }),
    expect: ({ status, body }) => status === 200 && body.includes('"valid":true'),
  };
}

/** Sessions that are read and get a later end. */
async function extensions(address: string): Promise<Contestant> {
  const cookies: string[] = [];
  for (let person = 0; person < CROWD; person += 1) {
    cookies.push(await cookiesOf(address, 'extending', person));
  }
  return varied({
    name: 'better-auth, session extended',
    address,
    connections: CROWD,
    next: (index) => getSession('extending', cookies[index] ?? ''),
    took: ({ body }) => {
      if (!body.includes('"session":{')) throw new Error(`better-auth has no session: ${body}`);
    },
  });
}

function signUps(address: string): Contestant {
  return varied({
    name: 'better-auth',
    address,
    connections: SIGN_IN_CROWD,
    next: () => signUp(newEmail()),
    took: () => {},
  });
}

function logins(address: string): Contestant {
  let turn = 0;
  return varied({
    name: 'better-auth',
    address,
    connections: SIGN_IN_CROWD,
    next: () => signIn(turn++ % PEOPLE, 'plain'),
    took: () => {},
  });
}
