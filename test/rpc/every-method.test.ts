import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { BUILT_IN_PERMISSIONS } from '../../src/access/permissions.ts';
import { accessRule } from '../../src/rpc/interceptors/access.ts';
import { emptyCall, everyMethod } from '../every-service.ts';
import { Forger } from '../forge.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

const PERMISSIONS = Object.keys(BUILT_IN_PERMISSIONS);
const methods = everyMethod();
const asking = methods.filter((method) => accessRule(method)?.caller.case !== 'public');

let service: Service;
let forger: Forger;

before(async () => {
  service = await startService({ env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
  forger = await Forger.of(service);
});

const answer = (method: DescMethod, token?: string) => emptyCall(service, method, token);

/** Asserts that every one of these methods refuses a credential for this reason. */
async function allRefuse(which: DescMethod[], token: string | undefined, reason: string) {
  assert.ok(which.length > 0);
  for (const method of which) {
    assert.equal((await answer(method, token))?.reason, reason, String(method));
  }
}

/** A token that holds these permissions, signed in now or some seconds ago. */
const holding = (permissions: string[], age = 0) =>
  forger.token({
    roles: ['admin'],
    scope: permissions.join(' '),
    auth_time: Number(forger.claims['iat']) - age,
  });

describe('Every method', () => {
  it('A04 that asks for a credential refuses a call without one', async () => {
    await allRefuse(asking, undefined, 'CREDENTIALS_MISSING');
  });

  it('A04 refuses anything but a valid access token of ours: foreign, of another kind, ended', async () => {
    const ended = await signedIn(service);
    await service.auth.logout({ refreshToken: ended.refreshToken });
    const { refreshToken, email } = await signedIn(service);
    await service.auth.requestPasswordReset({ email });
    const mailed = tokenIn(await service.mail.next(email, /Set a new/)) ?? '';
    const tokens: [string, string][] = [
      [refreshToken, 'TOKEN_INVALID'],
      [mailed, 'TOKEN_INVALID'],
      [await forger.token({ iss: 'https://other.test' }), 'TOKEN_INVALID'],
      [await forger.token({ aud: 'https://other.test' }), 'TOKEN_INVALID'],
      [await forger.token({}, { typ: 'JWT' }), 'TOKEN_INVALID'],
      [await forger.token({ exp: 1 }), 'TOKEN_EXPIRED'],
      [ended.accessToken, 'TOKEN_REVOKED'],
    ];
    for (const [token, reason] of tokens) await allRefuse(asking, token, reason);
  });

  it('A04 that asks for a permission refuses callers with none, or with all others', async () => {
    const guarded = asking.filter((method) => accessRule(method)?.caller.case === 'permission');
    assert.ok(guarded.length >= 20);
    const { accessToken } = await signedIn(service);
    await allRefuse(guarded, accessToken, 'PERMISSION_DENIED');
    for (const method of guarded) {
      const rule = accessRule(method);
      const permission = String(rule?.caller.value);
      assert.ok(PERMISSIONS.includes(permission), String(method));
      const opens = [permission, rule?.orPermission];
      const others = await holding(PERMISSIONS.filter((name) => !opens.includes(name)));
      const refused = await answer(method, others);
      assert.deepEqual(
        [refused?.code, refused?.reason, refused?.metadata],
        [Code.PermissionDenied, 'PERMISSION_DENIED', { permission }],
        String(method),
      );
    }
  });

  it('A04 lets in a caller who has the one permission that it asks for, and signed in recently', async () => {
    for (const method of asking) {
      const rule = accessRule(method);
      if (rule?.caller.case !== 'permission') continue;
      const permission = String(rule.caller.value);
      const refused = await answer(method, await holding([permission]));
      // The token's owner does not exist, which the code behind the rule has to notice.
      const { permission: wanted } = refused?.metadata ?? {};
      assert.ok(refused?.reason !== 'PERMISSION_DENIED' || wanted === permission, String(method));
      assert.notEqual(refused?.code, Code.Unimplemented, String(method));
      assert.notEqual(refused?.reason, 'INTERNAL', String(method));
    }
  });

  it('A04 that asks for a recent sign-in refuses an older one', async () => {
    const recent = asking.filter((method) => accessRule(method)?.maxSignInAge);
    for (const method of recent) {
      const age = Number(accessRule(method)?.maxSignInAge?.seconds) + 60;
      const refused = await answer(method, await holding(PERMISSIONS, age));
      assert.equal(refused?.reason, 'REAUTHENTICATION_REQUIRED', String(method));
    }
  });
});
