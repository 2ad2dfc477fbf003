import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { accountOf, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { Authenticator } from './authenticator.ts';
import { register, startPasskeyService } from './people.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: PATIENT });
});

describe('RenamePasskey', () => {
  it('renames a passkey of the caller, and of no one else', async () => {
    const owner = await signedIn(service);
    const passkeyId = await register(service, owner, new Authenticator(), 'Old');
    const stranger = accountOf(service, await signedIn(service));
    const refused = await refusal(stranger.renamePasskey({ passkeyId, displayName: 'Mine' }));
    assert.deepEqual([refused.code, refused.reason], [Code.NotFound, 'NOT_FOUND']);
    const account = accountOf(service, owner);
    const { passkey } = await account.renamePasskey({ passkeyId, displayName: 'New' });
    assert.equal(passkey?.displayName, 'New');
    const [listed] = (await account.listPasskeys({})).passkeys;
    assert.equal(listed?.displayName, 'New');
  });
});
