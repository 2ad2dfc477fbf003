import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { sql } from '../harness/database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, NEW_PASSWORD, newEmail, PASSWORD, person, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const GERMAN = {
  'mail.verify_email.subject': 'Bitte bestaetigen',
  'mail.password_changed.subject': 'Passwort geaendert',
  'mail.reset_password.subject': 'Neues Passwort',
  'mail.invitation.subject': 'Willkommen',
};

describe('The language of an account', () => {
  let service: Service;

  before(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-texts-'));
    writeFileSync(join(folder, 'de.json'), JSON.stringify(GERMAN));
    service = await startService({ env: { COUNTERSIGN_TEMPLATES_DIR: folder } });
  });

  const asking = (languages: string) => ({ headers: { 'accept-language': languages } });

  async function signUpIn(languages: string, subject: RegExp): Promise<string> {
    const email = newEmail();
    const request = { email, password: PASSWORD, displayName: 'Pat' };
    await service.auth.signUp(request, asking(languages));
    await service.auth.verifyEmail({
      token: tokenIn(await service.mail.next(email, subject)) ?? '',
    });
    return email;
  }

  const localeOf = async (email: string) => {
    const rows = await sql(service.databaseUrl, 'select locale from accounts where email = $1', [
      email,
    ]);
    return rows[0]?.['locale'];
  };

  it('is the one that an administrator gives, from the invitation on', async () => {
    const { accessToken } = await person(service, 'admin');
    const admin = service.client(AdminService, 'grpc', accessToken);
    const email = newEmail();
    const { user } = await admin.createUser({ email, displayName: 'Pat', locale: 'de-CH' });
    assert.equal(user?.locale, 'de-CH');
    await service.mail.next(email, /Willkommen/);
    const userId = user?.userId ?? '';
    const change = async (locale: string) =>
      admin.updateUser({
        user: create(UserSchema, { userId, locale }),
        updateMask: create(FieldMaskSchema, { paths: ['locale'] }),
      });
    assert.equal((await change('')).user?.locale, '');
    await service.auth.requestPasswordReset({ email });
    await service.mail.next(email, /Set a new password/);
    assert.equal((await change('de')).user?.locale, 'de');
    assert.equal((await change('de')).user?.displayName, 'Pat');
    const events = await sql(
      service.databaseUrl,
      `select details, personal from audit_events where type = 'account.updated' and subject = $1`,
      [userId],
    );
    assert.deepEqual(
      events.map(({ details }) => details),
      [{ fields: ['locale'] }, { fields: ['locale'] }],
    );
    for (const locale of ['d', 'de_DE', 'x'.repeat(9), 'de\r\nBcc: x']) {
      const refused = await refusal(admin.createUser({ email: newEmail(), locale }));
      assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['locale']]);
      assert.deepEqual((await refusal(change(locale))).fields, ['user.locale']);
    }
  });

  it('is the one that its owner signed up in, whoever causes a mail', async () => {
    const email = await signUpIn('de-at, en;q=0.5', /Bitte best/);
    assert.equal(await localeOf(email), 'de-AT');
    await service.auth.requestPasswordReset({ email }, asking('en'));
    await service.mail.next(email, /Neues Passwort/);
    const account = accountOf(service, await signIn(service, email));
    const { user } = await account.getMe({});
    assert.equal(user?.locale, 'de-AT');
    const { json } = await account.exportMe({});
    assert.equal(JSON.parse(json).user.locale, 'de-AT');
  });

  it('is changed by UpdateMe, and English where there are no texts in it', async () => {
    const email = await signUpIn('', /Confirm/);
    assert.equal(await localeOf(email), null);
    const account = accountOf(service, await signIn(service, email));
    const update = (locale: string, paths = ['locale']) =>
      account.updateMe({
        user: create(UserSchema, { locale }),
        updateMask: create(FieldMaskSchema, { paths }),
      });
    const { user: before } = await account.getMe({});
    const { user: after } = await update('de');
    assert.deepEqual([after?.locale, after?.displayName], ['de', 'Pat']);
    assert.notEqual(after?.etag, before?.etag);
    const change = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
    await account.changePassword(change);
    await service.mail.next(email, /Passwort ge/);
    await update('fr-CA', []);
    await service.auth.requestPasswordReset({ email });
    await service.mail.next(email, /Set a new password/);
    assert.equal((await update('')).user?.locale, '');
    assert.equal((await refusal(update('not a language'))).reason, 'INVALID_REQUEST');
  });

  it('is none if a sign-up asks for nonsense', async () => {
    for (const nonsense of ['*', ';;;', `${'x'.repeat(4000)}`, 'de_DE', '-']) {
      assert.equal(await localeOf(await signUpIn(nonsense, /Confirm/)), null, nonsense);
    }
  });
});
