import assert from 'node:assert/strict';
import { createHash, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, signedIn } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { makeCertificate, skip } from '../http/certificates.ts';
import { Authenticator, type Mischief, RP_ID } from './authenticator.ts';
import type { Cbor } from './cbor.ts';
import { register, startPasskeyService } from './people.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: PATIENT });
});

describe('FinishPasskeyRegistration', () => {
  /** The result of a registration that goes wrong in one way. */
  async function wrongly(mischief: Mischief, change = (json: string) => json) {
    const account = accountOf(service, await signedIn(service));
    const { optionsJson } = await account.beginPasskeyRegistration({});
    const credentialJson = change(new Authenticator().create(optionsJson, mischief));
    const refused = await refusal(account.finishPasskeyRegistration({ credentialJson }));
    assert.deepEqual((await account.listPasskeys({})).passkeys, []);
    return refused;
  }

  async function assertRefused(mischief: Mischief, change?: (json: string) => string) {
    const refused = await wrongly(mischief, change);
    assert.equal(refused.code, Code.InvalidArgument);
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
    assert.deepEqual(refused.fields, ['credential_json']);
  }

  it('registers passkeys of both kinds of key and both kinds of device', async () => {
    const person = await signedIn(service);
    await register(service, person, new Authenticator({ algorithm: 'ES256' }), 'Key');
    await register(service, person, new Authenticator({ algorithm: 'Ed25519', synced: true }), '');
    const { passkeys } = await accountOf(service, person).listPasskeys({});
    const seen = passkeys.map(({ displayName, synced, lastUsedAt }) => ({
      displayName,
      synced,
      lastUsedAt,
    }));
    assert.deepEqual(seen, [
      { displayName: 'Key', synced: false, lastUsedAt: undefined },
      { displayName: '', synced: true, lastUsedAt: undefined },
    ]);
  });

  it('accepts the attestation that an authenticator signs with the passkey itself', async () => {
    const account = accountOf(service, await signedIn(service));
    const { optionsJson } = await account.beginPasskeyRegistration({});
    const credentialJson = new Authenticator().create(optionsJson, { attestation: 'self' });
    await account.finishPasskeyRegistration({ credentialJson });
  });

  it('E06 tells the owner by mail, with a link that undoes this passkey, and writes an event', async () => {
    const person = await signedIn(service);
    const passkeyId = await register(service, person, new Authenticator(), 'Blue key');
    const mail = await service.mail.next(person.email, /passkey was added/);
    assert.match(mail.text, /“Blue key”/);
    assert.match(tokenIn(mail) ?? '', /^csm_/);
    const rows = await sql<{ undo: unknown; event: unknown }>(
      service.databaseUrl,
      `select t.details->'undo' as undo, e.details->>'passkey_id' as event from mailed_tokens t
       join audit_events e on e.subject = t.account_id and e.type = 'passkey.added'
       where t.purpose = 'secure_account' and t.details->'undo'->>'passkey' = $1`,
      [passkeyId],
    );
    assert.deepEqual(rows, [{ undo: { passkey: passkeyId }, event: passkeyId }]);
  });

  it('refuses another origin', () => assertRefused({ origin: 'https://app.example.org' }));
  it('refuses another relying party', () => assertRefused({ rpId: 'example.org' }));
  it('refuses an authenticator that did not verify its user', () =>
    assertRefused({ userVerified: false }));
  it('refuses an authenticator that nobody touched', () => assertRefused({ userPresent: false }));
  it('refuses an answer of the wrong type', () => assertRefused({ type: 'webauthn.get' }));
  it('refuses a challenge that is not ours', () => assertRefused({ challenge: 'A'.repeat(74) }));
  it('refuses a page in a frame of another origin', () =>
    assertRefused({ clientData: { crossOrigin: true } }));
  it('refuses attestation with certificates without looking at them', () =>
    assertRefused({
      attestation: { fmt: 'packed', attStmt: new Map([['x5c', [Buffer.alloc(8)]]]) },
    }));
  it('refuses attestation by a certificate, however right its signature is', { skip }, async () => {
    const { cert, key } = makeCertificate(temporaryDirectory(), 'maker');
    const { raw } = new X509Certificate(readFileSync(cert));
    // Section 8.6, in which a certificate needs nothing but a key.
    await assertRefused({
      attestation: (authData, clientData) => {
        const id = authData.subarray(55, 87);
        const [x, y] = [authData.subarray(97, 129), authData.subarray(132, 164)];
        const hash = createHash('sha256').update(clientData).digest();
        const signed = [Buffer.of(0), authData.subarray(0, 32), hash, id, Buffer.of(4), x, y];
        const sig = sign('sha256', Buffer.concat(signed), readFileSync(key));
        return {
          fmt: 'fido-u2f',
          attStmt: new Map<string, Cbor>([
            ['x5c', [raw]],
            ['sig', sig],
          ]),
        };
      },
    });
  });
  it('refuses a credential id that the authenticator did not sign', () =>
    assertRefused({}, (json) => {
      const credential = JSON.parse(json);
      return JSON.stringify({ ...credential, id: 'AAAA', rawId: 'AAAA' });
    }));

  it('refuses anything that is not a credential, whatever its form', async () => {
    const account = accountOf(service, await signedIn(service));
    const { optionsJson } = await account.beginPasskeyRegistration({});
    const right = JSON.parse(new Authenticator().create(optionsJson));
    const base64url = (text: string | Buffer) => Buffer.from(text).toString('base64url');
    const response = (change: object) =>
      JSON.stringify({ ...right, response: { ...right.response, ...change } });
    const junk = [
      'no JSON',
      'null',
      '[]',
      '7',
      '"text"',
      '{}',
      '['.repeat(30_000),
      `${'['.repeat(15_000)}${']'.repeat(15_000)}`,
      JSON.stringify({ ...right, id: 7 }),
      JSON.stringify({ ...right, id: 'x'.repeat(30_000) }),
      JSON.stringify({ ...right, type: 'password' }),
      JSON.stringify({ ...right, response: null }),
      response({ clientDataJSON: 7 }),
      response({ clientDataJSON: base64url('null') }),
      response({ clientDataJSON: base64url('{"challenge":{}}') }),
      response({ attestationObject: base64url(Buffer.alloc(10_000, 0x81)) }),
      response({ attestationObject: base64url(Buffer.alloc(10_000, 0xff)) }),
      response({ attestationObject: base64url('') || 'AA' }),
      response({ attestationObject: 'A'.repeat(20_000) }),
    ];
    for (const credentialJson of junk) {
      const refused = await refusal(account.finishPasskeyRegistration({ credentialJson }));
      assert.equal(refused.reason, 'MFA_CODE_INVALID', credentialJson.slice(0, 100));
    }
    // Transports are a hint: what is wrong with them is dropped.
    const credentialJson = response({ transports: ['internal', 'a}b', 7, null, 'x'.repeat(1000)] });
    await account.finishPasskeyRegistration({ credentialJson });
  });

  it('refuses another account’s challenge', async () => {
    const one = accountOf(service, await signedIn(service));
    const other = accountOf(service, await signedIn(service));
    const { optionsJson } = await one.beginPasskeyRegistration({});
    const credentialJson = new Authenticator().create(optionsJson);
    const refused = await refusal(other.finishPasskeyRegistration({ credentialJson }));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
    await one.finishPasskeyRegistration({ credentialJson });
  });

  it('refuses the challenge of a sign-in', async () => {
    const account = accountOf(service, await signedIn(service));
    const { optionsJson } = await service.auth.beginPasskeyLogin({});
    const options = { ...JSON.parse(optionsJson), rp: { id: RP_ID } };
    const credentialJson = new Authenticator().create(JSON.stringify(options));
    const refused = await refusal(account.finishPasskeyRegistration({ credentialJson }));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
  });

  it('C06 accepts an answer once, even if its passkey has been deleted since', async () => {
    const account = accountOf(service, await signedIn(service));
    const { optionsJson } = await account.beginPasskeyRegistration({});
    const credentialJson = new Authenticator().create(optionsJson);
    const { passkey } = await account.finishPasskeyRegistration({ credentialJson });
    const again = await refusal(account.finishPasskeyRegistration({ credentialJson }));
    assert.equal(again.reason, 'MFA_CODE_INVALID');
    await account.deletePasskey({ passkeyId: passkey?.passkeyId ?? '' });
    const later = await refusal(account.finishPasskeyRegistration({ credentialJson }));
    assert.equal(later.reason, 'MFA_CODE_INVALID');
  });

  it('refuses a credential that another account has', async () => {
    const authenticator = new Authenticator();
    await register(service, await signedIn(service), authenticator);
    const person = await signedIn(service);
    const refused = await refusal(register(service, person, authenticator));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
    assert.deepEqual((await accountOf(service, person).listPasskeys({})).passkeys, []);
  });

  it('allows 20 passkeys at most, however many register at once', async () => {
    const person = await signedIn(service);
    for (let i = 0; i < 17; i += 1) await register(service, person, new Authenticator());
    const racers = Array.from({ length: 8 }, () => register(service, person, new Authenticator()));
    const results = await Promise.allSettled(racers);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 3);
    const account = accountOf(service, person);
    assert.equal((await account.listPasskeys({})).passkeys.length, 20);
    const refused = await refusal(account.beginPasskeyRegistration({}));
    assert.equal(refused.code, Code.FailedPrecondition);
    assert.equal(refused.reason, 'TOO_MANY');
  });

  it('refuses an answer to a challenge that is more than 5 minutes old', async () => {
    const service = await startPasskeyService();
    const account = accountOf(service, await signedIn(service));
    const { optionsJson } = await account.beginPasskeyRegistration({});
    const credentialJson = new Authenticator().create(optionsJson);
    service.clock.advance(300_000);
    const refused = await refusal(account.finishPasskeyRegistration({ credentialJson }));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
  });
});
