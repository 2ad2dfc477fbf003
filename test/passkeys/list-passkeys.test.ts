import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { accountOf, signedIn } from '../harness/people.ts';
import { PATIENT, type Service } from '../harness/service.ts';
import { Authenticator } from './authenticator.ts';
import { register, signInByPasskey, startPasskeyService } from './people.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: PATIENT });
});

describe('ListPasskeys', () => {
  it('shows only the caller’s passkeys, the oldest first, and when each was last used', async () => {
    const owner = await signedIn(service);
    const authenticator = new Authenticator();
    await register(service, owner, authenticator, 'Used');
    await register(service, owner, new Authenticator({ synced: true }), 'Unused');
    await signInByPasskey(service, authenticator);
    const { passkeys } = await accountOf(service, owner).listPasskeys({});
    assert.deepEqual(
      passkeys.map(({ displayName, synced, lastUsedAt }) => [displayName, synced, !!lastUsedAt]),
      [
        ['Used', false, true],
        ['Unused', true, false],
      ],
    );
    const stranger = await signedIn(service);
    assert.deepEqual((await accountOf(service, stranger).listPasskeys({})).passkeys, []);
  });
});
