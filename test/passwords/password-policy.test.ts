import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { PasswordPolicy } from '../../src/passwords/password-policy.ts';
import { PasswordStrength } from '../../src/passwords/password-strength.ts';
import { Failure } from '../../src/platform/failure.ts';
import { eventually } from '../harness/eventually.ts';
import { newEmail, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const PERSON = ['Maximiliane.Oberhuber@Riverbank-Bakery.example', 'Maximiliane “Maxi” Oberhuber'];

describe('The password policy', () => {
  const strength = new PasswordStrength();
  const policy = new PasswordPolicy({ minLength: 12, strength, breached: undefined });
  after(() => strength.close());

  const from = (ipAddress: string) => ({ ipAddress, signal: AbortSignal.timeout(20_000) });

  /** Why a password is refused; undefined if it is not. */
  async function objection(password: string, ownWords: readonly string[] = PERSON) {
    const context = { field: 'password', ownWords, caller: from('192.0.2.1') };
    const failure = await policy.check(password, context).then(
      () => undefined,
      (error) => error,
    );
    if (failure === undefined) return undefined;
    assert.ok(failure instanceof Failure, String(failure));
    assert.equal(failure.reason, 'PASSWORD_TOO_WEAK');
    return failure.details.fields?.[0]?.description;
  }

  const common = [
    'passwordpassword',
    'qwertyuiop123456789',
    // Of 15 characters and more, as the list has 9,747 of them.
    '1qaz2wsx3edc4rfv5tgb',
    'whitehorse030711',
    'WhiteHorse030711',
    'ｗｈｉｔｅｈｏｒｓｅ０３０７１１',
  ];
  for (const password of common) {
    it(`C01 refuses ${password}, which is on a list`, async () => {
      assert.match((await objection(password)) ?? '', /list of common passwords/);
    });
  }

  const own = [
    'Maximiliane2026!',
    'oberhuber-2026',
    'riverbank bakery',
    '1riverbank-bakery.example1',
    'ＭＡＸＩＭＩＬＩＡＮＥ oberhuber',
    'maxi+Maximiliane',
  ];
  for (const password of own) {
    it(`C01 refuses ${password}, which is made of the account's own words`, async () => {
      assert.match((await objection(password)) ?? '', /name or address of the account/);
    });
  }

  const withAddress = [
    'maximiliane.oberhuber@riverbank-bakery.example',
    'maximiliane.oberhuber@riverbank-bakery.example2026-violet',
    'quartz lamp river MAXIMILIANE.OBERHUBER@riverbank-bakery.EXAMPLE ninety',
    'ｍａｘｉｍｉｌｉａｎｅ．ｏｂｅｒｈｕｂｅｒ＠riverbank-bakery.example seven kettles',
  ];
  for (const password of withAddress) {
    it(`C01 refuses ${password}, which contains the account's address`, async () => {
      assert.match((await objection(password)) ?? '', /contains the address of the account/);
    });
  }

  it('gives back the memory of the dictionaries when nobody asks, and loads them again', async () => {
    const strength = new PasswordStrength({ idleMs: 1 });
    const judge = () => strength.judge('quartz lamp river', [], from('192.0.2.1'));
    const first = await judge();
    await eventually(() => !strength.isLoaded);
    assert.deepEqual(await judge(), first);
    await strength.close();
  });

  it("accepts the account's own words as part of a longer password", async () => {
    assert.equal(await objection('oberhuber paints seven kettles'), undefined);
    assert.equal(await objection('oberhuber-2026', ['', '']), undefined);
  });

  const guessable: Record<string, RegExp> = {
    aaaaaaaaaaaaaaaaaa: /^is easy to guess\. Repeated characters .* Avoid repeated words/,
    abcabcabcabcabcabc: /^is easy to guess\. Repeated character patterns/,
    '🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑': /^is easy to guess\. Repeated/,
    p4ssw0rdp4ssw0rdp4ssw0rd: /^is easy to guess\. /,
    password1234567: /^is easy to guess\. .*commonly used|list/,
  };
  for (const [password, reason] of Object.entries(guessable)) {
    it(`C01 refuses ${password}, which is easy to guess, and says why`, async () => {
      assert.match((await objection(password)) ?? '', reason);
    });
  }

  const accepted: Record<string, string> = {
    'lower-case words': 'correct horse battery',
    'digits only': '830147264951',
    Hangul: '파란 자전거 일곱 대가 달린다',
    'control characters': ' \t\u0000\u0007 \r\n ü ☃ ',
    'different emoji': '🔑🐙🍋🚲🎻🌵🧊🪁🦔🍩🚀🪗',
    'what is strong only at its end': `${'a'.repeat(60)}quartz lamp river ninety tambourine`,
    'what is strong only at its beginning': `quartz lamp river ninety${'a'.repeat(60)}`,
  };
  for (const [what, password] of Object.entries(accepted)) {
    it(`C01 has no rule against ${what}`, async () => {
      assert.equal(await objection(password), undefined);
    });
  }

  it('C12 judges the slowest passwords quickly, and off the event loop', async () => {
    await objection('a first one, for the dictionaries');
    const hostile = [
      '4@8({[<36!1|0$57+%2',
      '1.1.2011/1/20',
      'PaSsW0rD',
      '😀🔑',
      'abcab',
      '|\\|(_)',
    ];
    const from = process.cpuUsage();
    const fromHere = process.threadCpuUsage();
    for (const part of hostile) {
      const password = [...part.repeat(64)].slice(0, 128).join('');
      await objection(password, [`${'1l0o5s'.repeat(30)}@example.com`, 'a1b2c3 '.repeat(28)]);
    }
    const ms = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000;
    const [all, here] = [ms(process.cpuUsage(from)), ms(process.threadCpuUsage(fromHere))];
    // At most 75 ms each; unbounded, one alone takes a second. And not in the thread that answers calls.
    assert.ok(all < hostile.length * 400, `${all} ms`);
    assert.ok(here < 200, `${here} ms`);
  });

  it('C12 refuses callers who would wait too long', async () => {
    const judged = await Promise.allSettled(
      Array.from({ length: 60 }, (_, i) =>
        strength.judge(`quartz lamp river ${i}`, [], from('192.0.2.1')),
      ),
    );
    const refused = judged.filter(({ status }) => status === 'rejected');
    assert.equal(refused.length, 60 - 21);
    const failure = (refused[0] as PromiseRejectedResult).reason;
    assert.equal(failure.reason, 'OVERLOADED');
    assert.ok(failure.details.retryAfterMs > 0);
  });

  it('C12 keeps a place for every address, however many passwords one of them sends', async () => {
    const from64 = (i: number) => from(`2001:db8::${i + 1}`);
    const flood = Array.from({ length: 60 }, (_, i) =>
      strength.judge(`quartz lamp river ${i}`, [], from64(i)),
    );
    const others = Array.from({ length: 10 }, (_, i) =>
      strength.judge('quartz lamp river', [], from(`192.0.2.${i}`)),
    );
    const [floods, judged] = await Promise.all([
      Promise.allSettled(flood),
      Promise.allSettled(others),
    ]);
    const served = (all: typeof floods) => all.filter(({ status }) => status === 'fulfilled');
    assert.deepEqual([served(floods).length, served(judged).length], [11, 10]);
  });

  it('continues after its thread has ended', async () => {
    // One that is still loading its dictionaries, so that the end comes before the answer.
    const strength = new PasswordStrength();
    const judge = () => strength.judge('quartz lamp river', [], from('192.0.2.1'));
    const asked = judge();
    await strength.close();
    await assert.rejects(asked, { reason: 'DEPENDENCY_UNAVAILABLE' });
    assert.equal((await judge()).isCommon, false);
    await strength.close();
  });
});

describe('SignUp, by the password policy', () => {
  let service: Service;

  before(async () => {
    service = await startService({
      env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false', COUNTERSIGN_PASSWORD_MIN_LENGTH: '15' },
    });
  });

  const signUp = (password: string, displayName = '') =>
    service.auth.signUp({ email: newEmail(), password, displayName });

  const refused: [what: string, call: () => Promise<unknown>, why: RegExp][] = [
    ['of less than the configured length', () => signUp('quartz lamp ri'), /15 to 128 .* has 14/],
    ['on a list', () => signUp('whitehorse030711'), /list of common passwords/],
    ['made of the name', () => signUp('Oberhuber Oberhuber', 'M. Oberhuber'), /name or address/],
    ['easy to guess', () => signUp('aaaaaaaaaaaaaaaaaa'), /easy to guess\. Repeated characters/],
  ];
  for (const [what, call, why] of refused) {
    it(`C01 refuses one ${what}, naming the field and the reason`, async () => {
      const { code, reason, fields, message } = await refusal(call());
      assert.equal(code, Code.InvalidArgument);
      assert.equal(reason, 'PASSWORD_TOO_WEAK');
      assert.deepEqual(fields, ['password']);
      assert.match(message, why);
    });
  }

  it('C01 accepts one of just that length', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: 'quartz lamp riv', displayName: '' });
    await signIn(service, email, 'quartz lamp riv');
  });

  it('refuses one of more than 4096 bytes as the fault of the request', async () => {
    const refused = await refusal(signUp('a'.repeat(4097)));
    assert.equal(refused.reason, 'INVALID_REQUEST');
    assert.deepEqual(refused.fields, ['password']);
    assert.equal((await refusal(signUp('quartz lamp '.repeat(341)))).reason, 'PASSWORD_TOO_WEAK');
  });
});
