import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { sql } from '../harness/database.ts';
import { accountOf, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { Authenticator } from './authenticator.ts';
import { register, signInByPasskey, startPasskeyService } from './people.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: PATIENT });
});

describe('DeletePasskey', () => {
  it('deletes no passkey of anyone else', async () => {
    const owner = await signedIn(service);
    const authenticator = new Authenticator();
    const passkeyId = await register(service, owner, authenticator);
    const stranger = accountOf(service, await signedIn(service));
    assert.equal((await refusal(stranger.deletePasskey({ passkeyId }))).reason, 'NOT_FOUND');
    await signInByPasskey(service, authenticator);
  });

  it('E06 tells the owner by mail, and writes an event', async () => {
    const person = await signedIn(service);
    const account = accountOf(service, person);
    const passkeyId = await register(service, person, new Authenticator(), 'Blue key');
    await account.deletePasskey({ passkeyId });
    const mail = await service.mail.next(person.email, /passkey was removed/);
    assert.match(mail.text, /“Blue key”/);
    assert.equal((await refusal(account.deletePasskey({ passkeyId }))).reason, 'NOT_FOUND');
    const events = await sql(
      service.databaseUrl,
      `select 1 from audit_events where type = 'passkey.removed' and details->>'passkey_id' = $1`,
      [passkeyId],
    );
    assert.equal(events.length, 1);
  });

  it('C10 asks for a recent sign-in to add or delete a passkey, and not to list or rename them', async () => {
    const service = await startPasskeyService({ env: { COUNTERSIGN_ACCESS_TOKEN_TTL: '1h' } });
    const person = await signedIn(service);
    const passkeyId = await register(service, person, new Authenticator());
    const stale = accountOf(service, person);
    service.clock.advance(601_000);
    const calls = [
      stale.beginPasskeyRegistration({}),
      stale.finishPasskeyRegistration({ credentialJson: '{}' }),
      stale.deletePasskey({ passkeyId }),
    ];
    for (const call of calls) {
      assert.equal((await refusal(call)).reason, 'REAUTHENTICATION_REQUIRED');
    }
    await stale.renamePasskey({ passkeyId, displayName: 'Still' });
    assert.equal((await stale.listPasskeys({})).passkeys.length, 1);
    await accountOf(service, await signIn(service, person.email)).deletePasskey({ passkeyId });
  });
});
