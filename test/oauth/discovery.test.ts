import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { decodeProtectedHeader } from 'jose';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { newKey, newRobot } from '../api-keys/keys.ts';
import { sql } from '../harness/database.ts';
import { claimsOf, type Person, person } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer } from '../mesh/asking.ts';
import { basic, post } from './asking.ts';
import { type Acting, AUDIENCES, acting } from './delegation.ts';
import { OutsideIssuer } from './outside-issuer.ts';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TYPE = 'urn:ietf:params:oauth:token-type';
const BY_SECRET = ['client_secret_basic', 'client_secret_post'];
const NAMES = ['openid-configuration', 'oauth-authorization-server'];

type Document = Record<string, unknown>;

let issuer: OutsideIssuer;
let service: Service;
/** With workloads, and without trusted callers. */
let other: Service;
let pat: Person;
let gateway: Acting;

before(async () => {
  service = await startService({ env: { ...AUDIENCES, COUNTERSIGN_ISSUER: '' } });
  pat = await person(service, 'user', 'admin');
  gateway = await acting(service, pat, ['users.read', 'tokens.introspect']);
  issuer = await OutsideIssuer.start();
  const workloads = issuer.trustedBy(await newRobot(service, 'auditor'));
  const own = { COUNTERSIGN_ISSUER: service.app.publicUrl, COUNTERSIGN_TRUSTED_CALLERS: '' };
  other = await startReplica(service, { env: { ...workloads, ...own } });
});

const discovered = async (at: Service, name = NAMES[1]): Promise<Document> =>
  (await (await fetch(`http://${at.app.httpAddress}/.well-known/${name}`)).json()) as Document;

describe('The discovery documents', () => {
  it('are the same, and say what is there and nothing else', async () => {
    for (const name of NAMES) {
      const { claims_supported, ...document } = await discovered(service, name);
      const url = service.app.publicUrl;
      assert.ok(Array.isArray(claims_supported));
      assert.deepEqual(document, {
        issuer: url,
        jwks_uri: `${url}/.well-known/jwks.json`,
        token_endpoint: `${url}/oauth2/token`,
        token_endpoint_auth_methods_supported: BY_SECRET,
        revocation_endpoint: `${url}/oauth2/revoke`,
        revocation_endpoint_auth_methods_supported: [...BY_SECRET, 'none'],
        introspection_endpoint: `${url}/oauth2/introspect`,
        introspection_endpoint_auth_methods_supported: [...BY_SECRET, 'Bearer', 'none'],
        introspection_signing_alg_values_supported: ['ES256', 'EdDSA', 'RS256'],
        response_types_supported: [],
        grant_types_supported: ['client_credentials', EXCHANGE],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256', 'EdDSA', 'RS256'],
      });
    }
  });

  it('name endpoints that are there', async () => {
    const named = Object.entries(await discovered(service));
    const endpoints = named.filter(([name]) => name.endsWith('_endpoint'));
    assert.equal(endpoints.length, 3);
    for (const [name, url] of endpoints) {
      assert.equal((await fetch(String(url))).status, 405, name);
      assert.equal((await fetch(String(url), { method: 'POST' })).status, 400, name);
    }
    const { jwks_uri } = Object.fromEntries(named);
    assert.equal((await fetch(String(jwks_uri))).status, 200);
  });

  /** How a client shows who it is, by each of the methods that there are. */
  const shown = (method: string): [Record<string, string>, Record<string, string>] => {
    const { robot, secret } = gateway;
    switch (method) {
      case 'client_secret_basic':
        return [{}, basic(robot, secret)];
      case 'client_secret_post':
        return [{ client_id: robot, client_secret: secret }, {}];
      case 'Bearer':
        return [{}, bearer(secret)];
      default:
        return [{}, {}];
    }
  };

  it('A07 name the ways of authentication that work, for each endpoint, and no others', async () => {
    const { accessToken } = pat;
    const exchanged = { grant_type: EXCHANGE, subject_token_type: `${TYPE}:jwt` };
    const forms: Record<string, (at: Service, method: string) => Promise<Document>> = {
      token: async (at, method) =>
        method === 'none'
          ? { ...exchanged, subject_token: await issuer.workloadToken(at) }
          : { grant_type: 'client_credentials' },
      revocation: async () => ({ token: 'x' }),
      introspection: async () => ({ token: accessToken }),
    };
    for (const at of [service, other]) {
      const document = await discovered(at);
      for (const [name, form] of Object.entries(forms)) {
        const methods = document[`${name}_endpoint_auth_methods_supported`] as string[];
        const { pathname } = new URL(String(document[`${name}_endpoint`]));
        for (const method of [...BY_SECRET, 'Bearer', 'none']) {
          // RFC 8414 has no name for it there.
          if (method === 'Bearer' && name !== 'introspection') continue;
          const [fields, headers] = shown(method);
          const asked = { ...(await form(at, method)), ...fields } as Record<string, string>;
          const { status } = await post(at, pathname, asked, headers);
          assert.equal(status === 200, methods.includes(method), `${name} ${method} ${status}`);
        }
      }
    }
    const [here, there] = [await discovered(service), await discovered(other)];
    assert.notDeepEqual(here, there);
  });

  it('name every claim that a token of ours has, and none that no token has', async () => {
    const keys = service.client(ApiKeyService);
    const { secret } = await newKey(service, pat, { scopes: ['users.read'] });
    const audience = service.app.publicUrl;
    const ofKey = (await keys.exchangeApiKey({ secret, audience })).accessToken;
    const subjectToken = await issuer.workloadToken(other);
    const guest = await person(service);
    await sql(
      service.databaseUrl,
      `update sessions set idp = 'peer', amr = '{fed}' where id = $1`,
      [guest.sessionId],
    );
    const { refreshToken } = guest;
    const { tokens: renewed } = await service.auth.refreshToken({ refreshToken });
    const tokens = [
      pat.accessToken,
      renewed?.accessToken ?? '',
      ofKey,
      await gateway.exchange(pat.accessToken),
      await gateway.exchange(ofKey),
      (await other.auth.exchangeWorkloadToken({ subjectToken })).accessToken,
    ];
    const found = new Set(tokens.flatMap((token) => Object.keys(claimsOf(token))));
    const { claims_supported: supported } = await discovered(service);
    assert.deepEqual([...(supported as string[])].sort(), [...found].sort());
  });

  it('name grants that are served, and the algorithm of signed answers among others', async () => {
    const document = await discovered(service);
    for (const grant_type of document['grant_types_supported'] as string[]) {
      const { body } = await post(
        service,
        '/oauth2/token',
        { grant_type },
        shown(BY_SECRET[0] ?? '')[1],
      );
      assert.notEqual(body['error'], 'unsupported_grant_type');
    }
    for (const grant_type of ['authorization_code', 'refresh_token', 'password']) {
      const { body } = await post(service, '/oauth2/token', { grant_type });
      assert.equal(body['error'], 'unsupported_grant_type');
    }
    const accept = 'application/token-introspection+jwt';
    const headers = { ...shown(BY_SECRET[0] ?? '')[1], accept };
    const { body } = await post(service, '/oauth2/introspect', { token: 'x' }, headers);
    const { alg } = decodeProtectedHeader(String(body['text']));
    const algorithms = document['introspection_signing_alg_values_supported'] as unknown[];
    assert.ok(algorithms.includes(alg));
  });
});
