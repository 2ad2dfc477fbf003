import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { claimsOf } from '../../src/sessions/token-claims.ts';
import { Forger, judge } from '../forge.ts';
import { logLines } from '../harness/logs.ts';
import { type Service, startService } from '../harness/service.ts';
import { principal } from '../mesh/principal.ts';

const UUID = '01890000-0000-7000-8000-000000000000';
const notText = [null, 7, true, {}, [], ['text']];
const notTime = [null, '1', true, {}, [], -1, 1.5, 1e300, -1e300, 2 ** 53, 9e15, 253_402_300_800];
const notList = [null, 'text', 7, true, {}, [null], [7], [[]], ['']];
const notUuid = [...notText, '', 'x', '1', `${UUID}x`, UUID.toUpperCase().replace('0', 'A')];

/** What each claim must not be. What it must be is in the tokens of every other test. */
const ODD: Record<string, unknown[]> = {
  iss: [...notText, ''],
  sub: notUuid,
  sid: notUuid,
  aud: [null, 7, true, {}, [], [null], [7], '', ['']],
  exp: notTime,
  iat: notTime,
  auth_time: notTime,
  jti: [...notText, ''],
  client_id: [...notText, ''],
  scope: notText,
  roles: notList,
  amr: notList,
  acr: [...notText, ''],
  email_verified: [null, 'true', 1, {}],
};

describe('The access token, with odd claims that we have signed', () => {
  let service: Service;
  let forger: Forger;

  before(async () => {
    service = await startService();
    forger = await Forger.of(service);
  });

  const refused = async (token: string, what: string) =>
    assert.equal(await judge(service, token), 'TOKEN_INVALID', what);

  for (const [claim, values] of Object.entries(ODD)) {
    it(`S04 is refused without ${claim}, and if it is not what it should be`, async () => {
      await refused(await forger.token({ [claim]: undefined }), 'missing');
      for (const value of values) {
        await refused(await forger.token({ [claim]: value }), JSON.stringify(value));
      }
    });
  }

  it('S04 is refused with an odd nbf, which is optional', async () => {
    assert.equal(await judge(service, await forger.token({ nbf: 0 })), 'accepted');
    for (const nbf of notTime) await refused(await forger.token({ nbf }), JSON.stringify(nbf));
  });

  it('S04 is refused with an odd idp, which only sign-ins with a provider have', async () => {
    assert.equal(await judge(service, await forger.token({ idp: 'google' })), 'accepted');
    for (const idp of [...notText, '']) {
      await refused(await forger.token({ idp }), JSON.stringify(idp));
    }
  });

  it('passes its idp on to what it is exchanged for', () => {
    const signedIn = { ...principal(UUID), sessionId: UUID };
    assert.equal(claimsOf({ ...signedIn, idp: 'google' }, [])['idp'], 'google');
    assert.equal('idp' in claimsOf(signedIn, []), false);
  });

  it('S04 is refused with an odd token_version, which older tokens do not have', async () => {
    assert.equal(
      await judge(service, await forger.token({ token_version: undefined })),
      'accepted',
    );
    for (const version of notTime) {
      const token = await forger.token({ token_version: version });
      await refused(token, JSON.stringify(version));
    }
  });

  it('S04 is refused with numbers that JSON can write and JavaScript cannot hold', async () => {
    for (const claim of ['exp', 'iat', 'auth_time', 'nbf']) {
      const payload = JSON.stringify({ ...forger.claims, [claim]: '@' });
      await refused(await forger.sign(payload.replace('"@"', '1e999')), claim);
      await refused(await forger.sign(payload.replace('"@"', '-1e999')), claim);
      await refused(await forger.sign(payload.replace('"@"', 'NaN')), claim);
    }
  });

  it('S04 is refused with a payload that holds no claims', async () => {
    const payloads = [
      '',
      'x',
      'null',
      '7',
      '"text"',
      '[]',
      '[{}]',
      '{}',
      '{"a":',
      '{"__proto__":{}}',
    ];
    for (const payload of payloads) await refused(await forger.sign(payload), payload);
    await refused(await forger.sign(`${'['.repeat(1500)}${']'.repeat(1500)}`), 'deep');
    const text = Buffer.from(JSON.stringify({ ...forger.claims, jti: 'ÿ' }), 'latin1');
    await refused(await forger.sign(text), 'not UTF-8');
  });

  it('S04 has only times that every protocol can express', async () => {
    const latest = await forger.token({ exp: 253_402_300_799, auth_time: 0 });
    for (const protocol of ['grpc', 'connect', 'grpc-web'] as const) {
      assert.equal(await judge(service, latest, protocol), 'accepted');
    }
    const url = `http://${service.app.httpAddress}/countersign.v1.SessionService/IntrospectToken`;
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: latest }),
    });
    assert.equal(answer.status, 200);
    const { expiresAt } = (await answer.json()) as { expiresAt: string };
    assert.equal(expiresAt, '9999-12-31T23:59:59Z');
  });

  it('S04 is never a failure of ours, by any protocol, whatever we have signed', async () => {
    // Another audience than ours is no fault where somebody else asks about it.
    const names = Object.keys(ODD).filter((name) => name !== 'aud');
    const values = [null, -1, 1e300, '', 'x', [], [null], {}, true, UUID];
    const lines = await logLines(async () => {
      for (const protocol of ['grpc', 'connect', 'grpc-web'] as const) {
        for (const claim of names) {
          const value = values[Math.floor(Math.random() * values.length)];
          const other = names[Math.floor(Math.random() * names.length)] ?? 'sub';
          await judge(service, await forger.token({ [claim]: value, [other]: value }), protocol);
        }
      }
    });
    assert.ok(lines.length > 0);
    assert.deepEqual(
      lines.filter(({ level }) => level === 'error'),
      [],
    );
  });
});
