import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  createAccount,
  isActive,
  newEmail,
  PASSWORD,
  signedIn,
  signIn,
  userIdOf,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { Peer } from './peer.ts';
import { federatedLogin, federatedTokens, startFederatedService } from './people.ts';

let service: Service;
let open: Service;
let peer: Peer;

before(async () => {
  peer = await Peer.start();
  const providers = [
    peer.settings(),
    peer.settings({ id: 'linking', auto_link: true }),
    peer.settings({ id: 'trusted', auto_link: true, trust_email: true }),
  ];
  service = await startFederatedService(providers);
  open = await startFederatedService(providers, { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' });
});

type Outcome = 'signed up' | 'replaced' | 'linked' | string;

/** What the local account is like. */
const accounts: Record<string, () => Promise<string>> = {
  none: async () => newEmail(),
  'signed up, never verified, never used': async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Stranger' });
    await errandsRun(service);
    return email;
  },
  'not verified but used': async () => {
    const email = await createAccount(service);
    await set(email, `email_verified_at = null, last_login_at = now()`);
    return email;
  },
  invited: async () => {
    const email = await createAccount(service);
    await set(email, `email_verified_at = null, invited_at = now()`);
    return email;
  },
  verified: () => createAccount(service),
  suspended: async () => {
    const email = await createAccount(service);
    await set(email, `state = 'suspended'`);
    return email;
  },
};

async function set(email: string, what: string): Promise<void> {
  await sql(service.databaseUrl, `update accounts set ${what} where email = $1`, [email]);
}

/** By account: what becomes of it by a provider that may link, by one that may but is not trusted, by none. */
const TABLE: Record<string, { peer: Outcome; linking: Outcome; trusted: Outcome }> = {
  none: { peer: 'signed up', linking: 'signed up', trusted: 'signed up' },
  'signed up, never verified, never used': {
    peer: 'replaced',
    linking: 'replaced',
    trusted: 'replaced',
  },
  'not verified but used': {
    peer: 'IDENTITY_LINK_REQUIRED',
    linking: 'IDENTITY_LINK_REQUIRED',
    trusted: 'IDENTITY_LINK_REQUIRED',
  },
  invited: {
    peer: 'IDENTITY_LINK_REQUIRED',
    linking: 'IDENTITY_LINK_REQUIRED',
    trusted: 'IDENTITY_LINK_REQUIRED',
  },
  verified: {
    peer: 'IDENTITY_LINK_REQUIRED',
    linking: 'IDENTITY_LINK_REQUIRED',
    trusted: 'linked',
  },
  suspended: {
    peer: 'ACCOUNT_SUSPENDED',
    linking: 'ACCOUNT_SUSPENDED',
    trusted: 'ACCOUNT_SUSPENDED',
  },
};

async function stateOf(email: string) {
  return sql(
    service.databaseUrl,
    `select a.id, a.email_verified_at, a.display_name, i.id as identity, p.password_hash
     from accounts a left join identities i on i.account_id = a.id
       left join password_credentials p on p.account_id = a.id
     where a.canonical_email = lower($1)`,
    [email],
  );
}

describe('The account of an identity', () => {
  for (const [kind, make] of Object.entries(accounts)) {
    for (const provider of ['peer', 'linking', 'trusted'] as const) {
      const outcome = TABLE[kind]?.[provider] ?? '';
      it(`F02 that is unknown, verified, by ${provider}; account ${kind}: ${outcome}`, async () => {
        const email = await make();
        const before = await stateOf(email);
        const sub = peer.person({ email, email_verified: true, name: 'Robin' });
        const login = federatedLogin(service, peer, sub, provider);
        if (/^[A-Z]/.test(outcome)) {
          assert.equal((await refusal(login)).reason, outcome);
          assert.deepEqual(await stateOf(email), before);
          return;
        }
        assert.equal((await login).case, 'tokens');
        const [after] = await stateOf(email);
        assert.ok(after?.['identity'] && after['email_verified_at']);
        assert.equal(after['id'] === before[0]?.['id'], outcome !== 'signed up');
        assert.equal(Boolean(after['password_hash']), outcome === 'linked');
        assert.equal(after['display_name'], outcome === 'linked' ? 'Pat' : 'Robin');
      });
    }
    it(`F02 C04 that is unknown, not verified or absent; account ${kind}: the same answer`, async () => {
      const email = await make();
      const before = await stateOf(email);
      const claims = [
        { email },
        { email, email_verified: false },
        { email, email_verified: 'true' },
        { email: { address: email }, email_verified: true },
        { email: `${email}\n`, email_verified: true },
        { email_verified: true },
      ];
      for (const provider of ['peer', 'trusted']) {
        for (const each of claims) {
          const sub = peer.person(each);
          const { reason, message } = await refusal(federatedLogin(service, peer, sub, provider));
          assert.equal(reason, 'FEDERATED_EMAIL_UNVERIFIED', JSON.stringify(each));
          assert.match(message, /gives no address that it has verified/);
        }
      }
      assert.deepEqual(await stateOf(email), before);
    });
  }

  it('C15 keeps nothing of a sign-up that was waiting, and voids its mail', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Stranger' });
    const mail = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    const tokens = await federatedTokens(
      service,
      peer,
      peer.person({ email: email.toUpperCase(), email_verified: true }),
    );
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    assert.equal(
      (await refusal(service.auth.verifyEmail({ token: mail }))).reason,
      'TOKEN_INVALID',
    );
    assert.ok(await isActive(service, tokens.accessToken));
  });

  it('C15 gives nobody an account that someone else already uses without proof', async () => {
    const email = newEmail();
    await open.auth.signUp({ email, password: PASSWORD, displayName: 'Stranger' });
    const stranger = await signIn(open, email);
    const sub = peer.person({ email, email_verified: true });
    for (const provider of ['peer', 'trusted']) {
      const refused = await refusal(federatedLogin(open, peer, sub, provider));
      assert.equal(refused.reason, 'IDENTITY_LINK_REQUIRED');
    }
    assert.ok(await isActive(open, stranger.accessToken));
  });

  it('C15 is not that of someone who only asked to have the address', async () => {
    const thief = await signedIn(service);
    const email = newEmail();
    await accountOf(service, thief).changeEmail({ newEmail: email });
    const token = tokenIn(await service.mail.next(email, /Confirm your new/)) ?? '';
    const sub = peer.person({ email, email_verified: true });
    const owner = await federatedTokens(service, peer, sub);
    assert.notEqual(userIdOf(owner), userIdOf(thief));
    const late = await refusal(accountOf(service, thief).confirmEmailChange({ token }));
    assert.equal(late.reason, 'EMAIL_TAKEN');
  });

  it('C11 is found in any case, and made for no address that looks like another', async () => {
    const email = await createAccount(service);
    const sub = peer.person({ email: email.toUpperCase(), email_verified: true });
    const refused = await refusal(federatedLogin(service, peer, sub));
    assert.equal(refused.reason, 'IDENTITY_LINK_REQUIRED');
    const alike = peer.person({ email: 'a@xn--pypal-4ve.com', email_verified: true });
    const second = await refusal(federatedLogin(service, peer, alike));
    assert.equal(second.reason, 'FEDERATED_EMAIL_UNVERIFIED');
  });

  it('C14 E06 is told to its owner when it is linked without them, who undoes that', async () => {
    const { email, accessToken } = await signedIn(service);
    const sub = peer.person({ email, email_verified: true });
    const tokens = await federatedLogin(service, peer, sub, 'trusted');
    assert.ok(tokens.case === 'tokens');
    const mail = await service.mail.next(email, /Another way to sign in was added/);
    assert.match(mail.text, /Example/);
    await service.auth.secureAccount({ token: tokenIn(mail) ?? '' });
    assert.equal(await isActive(service, tokens.value.accessToken), false);
    assert.equal(await isActive(service, accessToken), false);
    const again = await refusal(federatedLogin(service, peer, sub));
    assert.equal(again.reason, 'IDENTITY_LINK_REQUIRED');
  });

  it('C13 is erased with the identity, and both are made anew', async () => {
    const email = newEmail();
    const sub = peer.person({ email, email_verified: true });
    const first = await federatedTokens(service, peer, sub);
    const { json } = await accountOf(service, first).exportMe({});
    const [identity] = JSON.parse(json).identities;
    assert.deepEqual(
      [identity.issuer, identity.subject, identity.email, identity.provider],
      [peer.issuer, sub, email, 'peer'],
    );
    await accountOf(service, first).deleteMe({});
    const second = await federatedTokens(service, peer, sub);
    assert.notEqual(userIdOf(second), userIdOf(first));
  });
});
