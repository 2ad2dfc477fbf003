import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, it } from 'node:test';
import { Forger, judge, jws } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { type Service, startService } from '../harness/service.ts';

describe('The access token, forged by its header', () => {
  let service: Service;
  let forger: Forger;
  const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const attackerJwk = {
    ...attacker.publicKey.export({ format: 'jwk' }),
    alg: 'ES256',
    kid: 'evil',
  };

  before(async () => {
    service = await startService();
    forger = await Forger.of(service);
  });

  const refused = async (token: string, what: string) =>
    assert.equal(await judge(service, token), 'TOKEN_INVALID', what);

  it('S02 is refused without a signature, however `none` is spelled', async () => {
    const [, , signature = ''] = (await forger.token()).split('.');
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, undefined, 0, ['ES256']]) {
      for (const end of ['', 'AA', signature]) {
        await refused(jws({ ...forger.header, alg }, forger.claims, end), `${alg} ${end}`);
      }
    }
  });

  it('S02 is refused when the public key is used as the secret of a MAC', async () => {
    const publicKey = createPublicKey(forger.key);
    const secrets = [
      publicKey.export({ format: 'pem', type: 'spki' }).toString(),
      publicKey.export({ format: 'pem', type: 'spki' }).toString().trim(),
      publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(publicKey.export({ format: 'jwk' })),
    ].map((secret) => new Uint8Array(Buffer.from(secret)));
    for (const secret of secrets) {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        await refused(await forger.token({}, { alg }, secret), alg);
      }
    }
  });

  it('S02 is refused with an algorithm that is not the key’s', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const ed25519 = generateKeyPairSync('ed25519').privateKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    await refused(await forger.token({}, { alg: 'RS256' }, rsa), 'RS256');
    await refused(await forger.token({}, { alg: 'PS256' }, rsa), 'PS256');
    await refused(await forger.token({}, { alg: 'EdDSA' }, ed25519), 'EdDSA');
    await refused(await forger.token({}, { alg: 'ES384' }, p384), 'ES384');
    const [head, payload, signature] = (await forger.token()).split('.');
    for (const alg of ['ES384', 'ES256K', 'RS256', 'EdDSA', 'es256']) {
      const other = Buffer.from(JSON.stringify({ ...forger.header, alg })).toString('base64url');
      await refused(`${other}.${payload}.${signature}`, alg);
    }
    assert.equal(await judge(service, `${head}.${payload}.${signature}`), 'accepted');
  });

  it('S02 is refused with a key that it carries or points to, and nothing is fetched', async () => {
    let fetched = 0;
    const server = createServer((_req, res) => {
      fetched += 1;
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ keys: [attackerJwk] }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    atEnd(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    const headers = [
      { jwk: attackerJwk },
      { jku: url },
      { x5u: url },
      { jku: url, kid: 'evil' },
      { jwk: attackerJwk, kid: 'evil' },
      { x5c: ['MIIB'], kid: 'evil' },
      { kid: url },
    ];
    for (const header of headers) {
      const token = await forger.token({}, header, attacker.privateKey);
      await refused(token, Object.keys(header).join());
    }
    assert.equal(fetched, 0);
  });

  it('S02 is refused with a critical extension, even one that libraries know', async () => {
    const [head = '', payload, signature] = (await forger.token()).split('.');
    const parsed = JSON.parse(Buffer.from(head, 'base64url').toString());
    for (const crit of [['exp'], ['x'], [], null, 'exp', ['b64']]) {
      await refused(
        jws({ ...parsed, crit, x: 1, b64: true }, forger.claims, `${signature}`),
        `${crit}`,
      );
    }
    const known = await forger.token({}, { crit: ['b64'], b64: true });
    await refused(known, 'b64, signed by our own key');
    assert.equal(await judge(service, `${head}.${payload}.${signature}`), 'accepted');
  });

  it('S02 is refused with an unknown or invalid key id', async () => {
    const ids = ['x', '', `' or true --`, '../../etc/passwd', '__proto__', 'k'.repeat(2000)];
    for (const kid of [...ids, 0, null, {}, [forger.header.kid], true]) {
      const token = jws({ ...forger.header, kid }, forger.claims, 'AAAA');
      await refused(token, JSON.stringify(kid));
      await refused(await forger.token({}, { kid }), JSON.stringify(kid));
    }
    await refused(await forger.token({}, { kid: undefined }), 'none');
  });

  it('S02 is refused with the id of the next key, which has not signed it', async () => {
    const [next] = await sql<{ id: string }>(
      service.databaseUrl,
      `select id from signing_keys where state = 'next'`,
    );
    await refused(await forger.token({}, { kid: next?.id }), 'next');
  });

  it('S02 is refused with any byte changed, and is never a failure of ours', async () => {
    const token = await forger.token();
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+ ';
    for (let i = 0; i < 300; i += 1) {
      const at = i < 250 ? Math.floor((i / 250) * token.length) : token.length - 1;
      const other = letters[Math.floor(Math.random() * letters.length)] ?? 'A';
      if (token[at] === other) continue;
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      await refused(changed.trim(), `${at} ${other}`);
    }
  });
});
