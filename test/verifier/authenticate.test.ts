import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, it } from 'node:test';
import { type Verifier, VerifierError } from '../../packages/verifier/src/index.ts';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd, untilFileEnds } from '../harness/at-end.ts';
import { type Person, person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { verifierOf } from './verifiers.ts';

let service: Service;
let verifier: Verifier;
let pat: Person;

before(async () => {
  service = await startService();
  verifier = await untilFileEnds(async () => verifierOf(service));
  pat = await person(service);
});

const requestWith = (headers: Record<string, string>) =>
  new Request('http://shop.test/', { headers });

/** The status and headers that a handler of node's answers with. */
async function answer(headers: Record<string, string | string[]>) {
  const server = createServer(async (req, res) => {
    try {
      const { subject } = await verifier.authenticate(req);
      res.end(subject);
    } catch (error) {
      if (!(error instanceof VerifierError)) throw error;
      res.writeHead(error.httpStatus, error.httpHeaders).end(error.reason);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  const { port } = server.address() as AddressInfo;
  const asked = send({ port, host: '127.0.0.1', headers, agent: false }).end();
  const [res] = await once(asked, 'response');
  const body: string = (await res.toArray()).join('');
  return { status: res.statusCode, challenge: res.headers['www-authenticate'], body };
}

describe('authenticate', () => {
  it('tells who makes a request, by an access token or an API key', async () => {
    const bearer = { authorization: `bearer ${pat.accessToken}` };
    assert.equal((await verifier.authenticate(requestWith(bearer))).subject, pat.userId);
    assert.deepEqual(await answer(bearer), { status: 200, challenge: undefined, body: pat.userId });
    const owner = await withRoles(service, 'user', 'admin');
    const { id, secret } = await newKey(service, owner, { allowedCidrs: ['127.0.0.1/32'] });
    assert.equal((await answer({ 'x-api-key': secret })).body, owner.userId);
    const fromThere = { ipAddress: '127.0.0.1' };
    const request = requestWith({ authorization: `ApiKey ${secret}` });
    assert.equal((await verifier.authenticate(request, fromThere)).apiKeyId, id);
    await assert.rejects(verifier.authenticate(request), { reason: 'ADDRESS_NOT_ALLOWED' });
  });

  it('answers as HTTP wants it', async () => {
    assert.deepEqual(await answer({}), {
      status: 401,
      challenge: 'Bearer',
      body: 'CREDENTIALS_MISSING',
    });
    assert.deepEqual(await answer({ authorization: 'Bearer a.b.c' }), {
      status: 401,
      challenge: 'Bearer error="invalid_token"',
      body: 'TOKEN_INVALID',
    });
  });

  it('refuses what is no credential, and more than one', async () => {
    const good = `Bearer ${pat.accessToken}`;
    const bad: Record<string, string | string[]>[] = [
      { authorization: '' },
      { authorization: 'Basic cGF0OnB3' },
      { authorization: `ApiKey ${pat.accessToken}` },
      { authorization: [good, good] },
      { authorization: 'Bearer a.b.c', 'x-api-key': 'csk_any' },
      { 'x-api-key': pat.accessToken },
    ];
    for (const headers of bad) assert.equal((await answer(headers)).body, 'TOKEN_INVALID');
    const joined = requestWith({ authorization: `${good}, ${good}` });
    await assert.rejects(verifier.authenticate(joined), { reason: 'TOKEN_INVALID' });
  });

  it('enforces a rule, and lets nobody in only if it says so', async () => {
    const bearer = requestWith({ authorization: `Bearer ${pat.accessToken}` });
    const rule = { permission: 'users.read' } as const;
    await assert.rejects(verifier.authenticate(bearer, { rule }), { httpStatus: 403 });
    const nobody = requestWith({});
    assert.equal(await verifier.authenticate(nobody, { rule: { public: true } }), undefined);
  });
});
