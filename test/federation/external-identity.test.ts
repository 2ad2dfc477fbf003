import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { type Claims, identityFromClaims } from '../../src/federation/external-identity.ts';

const TENANT = '7a4f0f4e-0c53-4d1f-9a55-3a2f0c9a4f11';

/** What the service makes of the claims of providers that no test can reach. */
function judge(
  settings: object,
  claims: Claims,
  userInfo: Claims = {},
): [verified: boolean, authoritative: boolean] {
  const provider = { id: 'x', client_id: 'x', redirect_uris: ['https://a.example/b'], ...settings };
  const json = JSON.stringify([provider]);
  const { providers } = readConfig({ COUNTERSIGN_OIDC_PROVIDERS: json }, () => '');
  const [read] = providers;
  assert.ok(read);
  const { isVerified, isAuthoritative } = identityFromClaims(
    read,
    { sub: 'x', ...claims },
    userInfo,
  );
  return [isVerified, isAuthoritative];
}

describe('The address of an identity', () => {
  it("F02 is Google's own if it is of gmail.com or of a domain that Google hosts", () => {
    const google = (claims: Claims) =>
      judge({ preset: 'google' }, { email_verified: true, ...claims });
    assert.deepEqual(google({ email: 'robin@gmail.com' }), [true, true]);
    assert.deepEqual(google({ email: 'robin@GMAIL.com' }), [true, true]);
    assert.deepEqual(google({ email: 'robin@example.com', hd: 'example.com' }), [true, true]);
    assert.deepEqual(google({ email: 'robin@example.com', hd: 'other.example' }), [true, false]);
    assert.deepEqual(google({ email: 'robin@example.com' }), [true, false]);
    assert.deepEqual(google({ email: 'robin@evilgmail.com' }), [true, false]);
    const unverified = google({ email: 'robin@gmail.com', email_verified: 'true' });
    assert.equal(unverified[0], false);
  });

  it("F02 is worth nothing at Microsoft unless its domain's owner or the directory is known", () => {
    const email = 'robin@example.com';
    const microsoft = (claims: Claims, more: object = {}) =>
      judge({ preset: 'microsoft', tenant: TENANT, ...more }, { email, ...claims });
    assert.deepEqual(microsoft({ email_verified: true }), [false, false]);
    assert.deepEqual(microsoft({ xms_edov: false }), [false, false]);
    assert.deepEqual(microsoft({ xms_edov: true }), [true, false]);
    assert.deepEqual(microsoft({ xms_edov: '1' }), [true, false]);
    const trusting = { trust_email: true };
    assert.deepEqual(microsoft({}, trusting), [true, true]);
    const guest = { idp: 'https://sts.windows.net/another-directory/' };
    assert.equal(microsoft(guest, trusting)[0], false);
  });

  it('F02 is what others call verified, by the boolean, and theirs only if the operator says so', () => {
    const email = 'robin@example.com';
    const issuer = { issuer: 'https://id.example.com', display_name: 'Example' };
    assert.deepEqual(judge(issuer, { email, email_verified: true }), [true, false]);
    assert.deepEqual(judge(issuer, { email, email_verified: 1 }), [false, false]);
    const trusted = { ...issuer, trust_email: true };
    assert.deepEqual(judge(trusted, { email, email_verified: true }), [true, true]);
    assert.equal(judge(trusted, { email })[0], false);
    assert.deepEqual(judge(issuer, {}, { email, email_verified: true }), [true, false]);
    for (const odd of [{ email }, [email], `${email} `, 'x'.repeat(250) + email, '']) {
      assert.deepEqual(judge(trusted, { email: odd, email_verified: true }), [false, false]);
    }
  });

  it('F02 is verified by what says it: an ID token speaks of its own address alone', () => {
    const email = 'robin@example.com';
    const issuer = { issuer: 'https://id.example.com', display_name: 'Example' };
    assert.deepEqual(judge(issuer, { email_verified: true }, { email }), [false, false]);
    assert.deepEqual(judge(issuer, { email }, { email, email_verified: true }), [false, false]);
    const directory = { preset: 'microsoft', tenant: TENANT };
    assert.deepEqual(judge(directory, { xms_edov: true }, { email }), [false, false]);
    const guest = { idp: 'https://sts.windows.net/another-directory/' };
    assert.equal(judge({ ...directory, trust_email: true }, guest, { email })[0], false);
  });
});
