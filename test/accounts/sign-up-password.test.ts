import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { newEmail, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const EMOJI = '🔑🐙🍋🚲🎻🌵🧊🪁🦔🍩🚀🪗';
const letters = (count: number) => 'quartz lamp river ninety tambourine '.repeat(4).slice(0, count);

describe('SignUp, the password', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
  });

  const signUp = async (password: string) => {
    const email = newEmail();
    await service.auth.signUp({ email, password, displayName: '' });
    return email;
  };

  const accepted = {
    '12 letters': letters(12),
    '128 letters': letters(128),
    '12 emoji, of two UTF-16 units each': EMOJI,
    '128 emoji': `${EMOJI}${'🔑'.repeat(116)}`,
    '12 letters with combining marks, which NFKC composes': 'éàñöüçôîşğẃý'.normalize('NFD'),
    '9 letters with ligatures, of which NFKC makes 13': 'ﬂy ﬁx ﬀ Ǆ',
    'spaces at both ends and control characters': ' \t\u0000\u0007 \r\n ü ☃ ',
  };
  for (const [what, password] of Object.entries(accepted)) {
    it(`may be ${what}`, async () => {
      const email = await signUp(password);
      await signIn(service, email, password);
    });
  }

  const refused = {
    '11 letters': letters(11),
    '129 letters': letters(129),
    '11 emoji, of two UTF-16 units each': '🔑'.repeat(11),
    '11 letters with combining marks, 22 code points as typed': 'e\u0301'.repeat(11),
    '65 ligatures, of which NFKC makes 130 letters': 'ﬁ'.repeat(65),
  };
  for (const [what, password] of Object.entries(refused)) {
    it(`may not be ${what}`, async () => {
      const refused = await refusal(signUp(password));
      assert.equal(refused.code, Code.InvalidArgument);
      assert.equal(refused.reason, 'PASSWORD_TOO_WEAK');
      assert.deepEqual(refused.fields, ['password']);
      assert.match(refused.message, /12 to 128 characters/);
    });
  }

  it('is the same in every form that NFKC makes one', async () => {
    const email = await signUp('Ångström’s ﬁrst unit');
    await signIn(service, email, 'A\u030Angstro\u0308m’s first unit');
  });

  it('counts to its last character', async () => {
    const email = await signUp(letters(128));
    const wrong = await refusal(signIn(service, email, `${letters(127)}!`));
    assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
    const shorter = await refusal(signIn(service, email, letters(127)));
    assert.equal(shorter.reason, 'INVALID_CREDENTIALS');
  });

  it('counts after a NUL', async () => {
    const email = await signUp('before\u0000after it');
    const wrong = await refusal(signIn(service, email, 'before\u0000after if'));
    assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
  });
});
