import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { challenged, enrolled } from '../authenticator-app.ts';
import { accountOf, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('RegenerateRecoveryCodes', () => {
  it('replaces all of the codes', async () => {
    const { email, account, recoveryCodes } = await enrolled(service);
    const { recoveryCodes: next } = await account.regenerateRecoveryCodes({});
    const { challengeToken } = await challenged(service, email);
    const recover = (value = '') =>
      service.auth.completeMfa({ challengeToken, factor: { case: 'recoveryCode', value } });
    assert.equal((await refusal(recover(recoveryCodes[0]))).reason, 'MFA_CODE_INVALID');
    assert.ok((await recover(next[9])).tokens);
  });

  it('E06 tells the owner by mail', async () => {
    const { email, account } = await enrolled(service);
    await account.regenerateRecoveryCodes({});
    await service.mail.next(email, /codes were replaced/);
  });

  it('refuses a caller without an app', async () => {
    const { accessToken } = await signedIn(service);
    const refused = await refusal(accountOf(service, { accessToken }).regenerateRecoveryCodes({}));
    assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'MFA_STATE']);
  });
});
