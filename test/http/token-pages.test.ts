import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PASSWORD_OBJECTION } from '../../src/http/token-page-script.ts';
import { PasswordPolicy } from '../../src/passwords/password-policy.ts';
import { PasswordStrength } from '../../src/passwords/password-strength.ts';
import { newEmail, PASSWORD } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

const PATHS = ['/verify-email', '/reset-password', '/confirm-email-change', '/secure-account'];

describe('The pages of mailed links', () => {
  let service: Service;

  before(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-texts-'));
    const german = {
      'page.verify_email.title': 'Adresse <bestätigen>',
      'page.continue': 'Weiter zu {brand}',
      'mail.verify_email.subject': 'Confirm: bitte bestätigen',
    };
    writeFileSync(join(folder, 'de.json'), JSON.stringify(german));
    service = await startService({
      env: {
        COUNTERSIGN_BRAND_NAME: 'Acme <&> Co',
        COUNTERSIGN_BRAND_URL: 'https://acme.example/?a="b"',
        COUNTERSIGN_BRAND_COLOR: '#0a7d4f',
        COUNTERSIGN_APP_URL: 'https://app.acme.example/in',
        COUNTERSIGN_TEMPLATES_DIR: folder,
      },
    });
  });

  const get = (path: string, language = '') =>
    fetch(`http://${service.app.httpAddress}${path}`, {
      headers: { 'accept-language': language },
    });

  it('say whose service it is, and where to go on', async () => {
    for (const path of PATHS) {
      const body = await (await get(path)).text();
      assert.ok(body.includes(' – Acme &lt;&amp;&gt; Co</title>'), path);
      assert.ok(body.includes('<a href="https://acme.example/?a=&quot;b&quot;">Acme &lt;&amp;'));
      assert.ok(body.includes('href="https://app.acme.example/in">Continue to Acme &lt;&amp;'));
      assert.ok(body.includes('--accent: #0a7d4f'));
    }
  });

  it('W11 let nothing load or run but their own style and script', async () => {
    for (const path of PATHS) {
      const answer = await get(path);
      const body = await answer.text();
      const policy = answer.headers.get('content-security-policy') ?? '';
      for (const [tag, source] of [
        ['style', 'style-src'],
        ['script', 'script-src'],
      ]) {
        const text = new RegExp(`<${tag}>([\\s\\S]*)</${tag}>`).exec(body)?.[1] ?? '';
        const digest = createHash('sha256').update(text).digest('base64');
        assert.ok(policy.includes(`${source} 'sha256-${digest}'`), `${path} ${tag}`);
      }
      assert.doesNotMatch(policy, /unsafe|\*/);
      assert.doesNotMatch(body, /\sstyle=|\son\w+=/);
    }
  });

  it('are in the language of the browser, and escape its texts', async () => {
    const german = await get('/verify-email', 'de-CH, en;q=0.5');
    assert.equal(german.headers.get('content-language'), 'de');
    assert.match(german.headers.get('vary') ?? '', /accept-language/);
    const body = await german.text();
    assert.match(body, /<html lang="de" dir="ltr">/);
    assert.ok(body.includes('<h1>Adresse &lt;bestätigen&gt;</h1>'));
    assert.ok(body.includes('Weiter zu Acme &lt;&amp;&gt; Co'));
    assert.equal((await get('/verify-email', 'fr')).headers.get('content-language'), 'en');
  });

  it('follow mails that say whose service it is', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: '' });
    const mail = await service.mail.next(email, /Confirm/);
    assert.match(
      mail.text,
      /\r\n\r\nThis mail was sent by Acme <&> Co\.\r\nhttps:\/\/acme\.example/,
    );
  });

  describe('while a password is typed', () => {
    const strength = new PasswordStrength();
    const policy = new PasswordPolicy({ minLength: 8, strength, breached: undefined });
    after(() => strength.close());
    type Objection = (password: string, min: number, max: number) => string | undefined;
    const objection = new Function(
      `${PASSWORD_OBJECTION} return passwordObjection;`,
    )() as Objection;

    const objections: [string, string | undefined][] = [
      ['short', 'too_short'],
      ['x'.repeat(129), 'too_long'],
      ['aaaaaaaa', 'repeated'],
      ['xq7zxq7zxq7z', 'repeated'],
      ['é€ßø'.repeat(32), 'repeated'],
      ['123456789', 'sequence'],
      ['HGFEDCBA', 'sequence'],
      ['qwertyuiop', 'sequence'],
      ['lkjhgfdsa', 'sequence'],
      ['zxcvbnmnbvcxz', 'sequence'],
      [PASSWORD, undefined],
      ['xq7z xq7z!', undefined],
    ];
    for (const [password, expected] of objections) {
      it(`object to ${password.slice(0, 16)} as ${expected}, and the service refuses it too`, async () => {
        assert.equal(objection(password, 8, 128), expected);
        if (expected === undefined) return;
        const caller = { ipAddress: '192.0.2.1', signal: AbortSignal.timeout(20_000) };
        const context = { field: 'password', ownWords: [], caller };
        await assert.rejects(policy.check(password, context));
      });
    }
  });
});

describe('A folder of texts that can’t be used', () => {
  it('ends the start, with all that is wrong', async () => {
    const env = { COUNTERSIGN_TEMPLATES_DIR: '/nowhere' };
    await assert.rejects(startService({ env }), (error: { problems?: string[] }) => {
      assert.match(String(error.problems), /COUNTERSIGN_TEMPLATES_DIR: \/nowhere can't be read/);
      return true;
    });
  });
});
