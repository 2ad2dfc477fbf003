import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { RP_ID } from './authenticator.ts';
import { loginOptions, startPasskeyService, withPasskey } from './people.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: PATIENT });
});

describe('BeginPasskeyLogin', () => {
  it('asks for any passkey of the relying party, and for its user to be verified', async () => {
    const { optionsJson, expiresAt } = await service.auth.beginPasskeyLogin({});
    const options = JSON.parse(optionsJson);
    assert.deepEqual([options.rpId, options.userVerification], [RP_ID, 'required']);
    assert.equal(options.allowCredentials, undefined);
    const seconds = Number(expiresAt?.seconds) - service.clock.now().getTime() / 1000;
    assert.ok(Math.abs(seconds - 300) < 10);
  });

  it('returns a new challenge each time', async () => {
    const challenges = [await loginOptions(service), await loginOptions(service)].map(
      (options) => JSON.parse(options).challenge,
    );
    assert.equal(new Set(challenges).size, 2);
  });

  it('refuses a token that is not a challenge of a sign-in', async () => {
    const { person } = await withPasskey(service);
    for (const token of ['csm_x', person.refreshToken]) {
      const refused = await refusal(service.auth.beginPasskeyLogin({ challengeToken: token }));
      assert.equal(refused.reason, 'TOKEN_INVALID');
    }
  });
});
