import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { accountOf, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { Authenticator, type Options, RP_ID } from './authenticator.ts';
import { register, startPasskeyService } from './people.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: PATIENT });
});

describe('BeginPasskeyRegistration', () => {
  it('asks for a passkey that is kept and verifies its user, and reveals nothing about the person', async () => {
    const person = await signedIn(service);
    const account = accountOf(service, person);
    const { optionsJson, expiresAt } = await account.beginPasskeyRegistration({});
    const options = JSON.parse(optionsJson);
    const { userVerification, residentKey } = options.authenticatorSelection;
    assert.deepEqual(
      { userVerification, residentKey },
      { userVerification: 'required', residentKey: 'required' },
    );
    assert.deepEqual(options.rp, { id: RP_ID, name: RP_ID });
    assert.equal(options.attestation, 'none');
    assert.deepEqual(
      options.pubKeyCredParams.map(({ alg }: { alg: number }) => alg),
      [-8, -7, -257],
    );
    const [row] = await sql<{ id: string }>(
      service.databaseUrl,
      'select id from accounts where email = $1',
      [person.email],
    );
    const handle = Buffer.from(options.user.id, 'base64url');
    assert.equal(handle.toString('hex'), row?.id.replaceAll('-', ''));
    const seconds = Number(expiresAt?.seconds) - service.clock.now().getTime() / 1000;
    assert.ok(Math.abs(seconds - 300) < 10);
  });

  it('names the passkeys that the account has, so that no authenticator makes a second', async () => {
    const person = await signedIn(service);
    const authenticator = new Authenticator();
    await register(service, person, authenticator);
    const { optionsJson } = await accountOf(service, person).beginPasskeyRegistration({});
    const { excludeCredentials }: Options = JSON.parse(optionsJson);
    assert.deepEqual(
      excludeCredentials?.map(({ id }) => id),
      [authenticator.credentialId],
    );
  });

  it('refuses a caller who has 20 passkeys', async () => {
    const person = await signedIn(service);
    for (let i = 0; i < 20; i += 1) await register(service, person, new Authenticator());
    const refused = await refusal(accountOf(service, person).beginPasskeyRegistration({}));
    assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'TOO_MANY']);
  });
});
