import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { Forger, judge, publishedKeys } from '../forge.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

const MEMBERS = {
  ES256: ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
  EdDSA: ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
  RS256: ['alg', 'e', 'kid', 'kty', 'n', 'use'],
};

async function verifyByUrl(service: Service, token: string) {
  const url = new URL(`http://${service.app.httpAddress}/.well-known/jwks.json`);
  return jwtVerify(token, createRemoteJWKSet(url), {
    issuer: 'https://issuer.test',
    audience: 'https://issuer.test',
    typ: 'at+jwt',
  });
}

for (const [algorithm, members] of Object.entries(MEMBERS)) {
  describe(`The signing keys for ${algorithm}`, () => {
    it('S12 sign tokens that others verify by the published set, and so do we', async () => {
      const service = await startService({ env: { COUNTERSIGN_SIGNING_ALG: algorithm } });
      for (const key of await publishedKeys(service)) {
        assert.deepEqual(Object.keys(key).sort(), members);
        assert.equal(key.alg, algorithm);
      }
      const first = await signedIn(service);
      const { protectedHeader, payload } = await verifyByUrl(service, first.accessToken);
      assert.equal(protectedHeader.alg, algorithm);
      assert.equal(payload['sid'], first.sessionId);
      assert.equal(await judge(service, first.accessToken), 'accepted');

      const { tokens } = await service.auth.refreshToken({ refreshToken: first.refreshToken });
      await verifyByUrl(service, tokens?.accessToken ?? '');
      await service.auth.logout({ refreshToken: tokens?.refreshToken ?? '' });
      assert.equal(await judge(service, first.accessToken), 'TOKEN_REVOKED');

      const forger = await Forger.of(service);
      const [head, body, signature = ''] = (await forger.token()).split('.');
      const altered = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
      assert.equal(await judge(service, `${head}.${body}.${altered}`), 'TOKEN_INVALID');
    });
  });
}

describe('The signing keys, misconfigured', () => {
  it('are refused for an algorithm that we do not have', async () => {
    const env = { COUNTERSIGN_SIGNING_ALG: 'HS256' };
    await assert.rejects(startService({ env }), /configuration/);
  });
});
