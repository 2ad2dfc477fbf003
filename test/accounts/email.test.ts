import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { domainToASCII } from 'node:url';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { sql } from '../harness/database.ts';
import { createAccount, newEmail, PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

describe('An address', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const signUp = (email: string) => service.auth.signUp({ email, password: PASSWORD });

  it('C11 is refused if its domain looks like another one', async () => {
    const { accessToken } = await signedIn(service);
    const account = service.client(AccountService, 'grpc', accessToken);
    // Each looks like an ASCII name, by letters that are not.
    for (const name of [
      ...['аррӏе.com', 'раypal.com', 'googlе.com', 'ехаmple.com', 'mail.со.org'],
      ...['dıscord.com', 'pɑypal.com', 'ɡoogle.com', 'ꞁinkedin.com', 'mail.ᴄo.org'],
    ]) {
      const email = `ann@${domainToASCII(name)}`;
      assert.match(email, /@(.*\.)?xn--/);
      const refused = await refusal(signUp(email));
      assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['email']], name);
      const changing = await refusal(account.changeEmail({ newEmail: email }));
      assert.deepEqual(changing.fields, ['new_email'], name);
    }
  });

  it('C11 may have a domain in any one script', async () => {
    const names = [
      'münchen.de',
      'straße.de',
      'ışık.com',
      'altın.com.tr',
      'lærer.dk',
      'þing.is',
      'почта.рф',
      '例え.jp',
      'ビール.jp',
      'ελλάδα.gr',
      '한국.kr',
    ];
    for (const name of names) await signUp(`ann@${domainToASCII(name)}`);
  });

  it('C11 is the same whatever its case and surrounding space', async () => {
    const email = await createAccount(service);
    await signIn(service, email.toUpperCase());
    await signUp(email.toUpperCase());
    await service.mail.next(email, /already have an account/);
    const rows = await sql(service.databaseUrl, 'select from accounts where canonical_email = $1', [
      email,
    ]);
    assert.equal(rows.length, 1);
  });

  it('C11 is in ASCII, without controls and spaces', async () => {
    for (const email of [
      'ann @example.com',
      'ann@exa mple.com',
      'ánn@example.com',
      'ann@exämple.com',
      'ann\u0000@example.com',
      'ann\u200b@example.com',
      `${'a'.repeat(250)}@example.com`,
      'ann@',
      '@example.com',
    ]) {
      const refused = await refusal(signUp(email));
      assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['email']], email);
    }
    assert.ok(newEmail());
  });
});
