import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Mail, renderMail as render } from '../../src/mail/templates.ts';
import { Languages } from '../../src/texts/languages.ts';

const URL_ = 'https://id.example.com';
const to = 'pat@example.com';
const brand = { name: 'Acme & Co', url: undefined, color: '#1f5fbf', appUrl: undefined };

const renderMail = (mail: Mail, publicUrl: string) =>
  render(mail, { publicUrl, brand, languages: new Languages() });

const verifyEmail = (displayName: string, token = 'csm_a.b') =>
  renderMail({ template: 'verify_email', to, displayName, token }, URL_);

const reused = (deviceLabel: string, token?: string) =>
  renderMail(
    {
      template: 'refresh_token_reused',
      to,
      displayName: '',
      deviceLabel,
      happenedAt: '2030-01-01T00:00:00.000Z',
      ...(token === undefined ? {} : { token }),
    },
    URL_,
  );

describe('The mails', () => {
  it('E05 carry the token in the fragment of the link, in both parts', () => {
    const { text, html } = verifyEmail('Pat');
    const link = `${URL_}/verify-email#token=csm_a.b`;
    assert.ok(text.includes(`\n${link}\n`));
    assert.ok(html.includes(`<a href="${link}">${link}</a>`));
  });

  it('say whose they are, with a button in the colour of the brand', () => {
    const { text, html } = verifyEmail('Pat');
    assert.match(text, /\n\nThis mail was sent by Acme & Co\.\n$/);
    assert.match(html, /background: #1f5fbf; [^>]*>Confirm the address<\/a>/);
    assert.match(html, /This mail was sent by Acme &amp; Co\./);
  });

  it('E05 escape text that people typed, in the HTML part', () => {
    const { text, html } = verifyEmail(`<img src=x onerror="alert('1')"> & Co`);
    assert.ok(
      html.includes('Hello &lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; Co,'),
    );
    assert.doesNotMatch(html, /<img/);
    assert.ok(text.includes(`Hello <img src=x onerror="alert('1')"> & Co,`));
    assert.ok(reused('<script>').html.includes('“&lt;script&gt;”'));
  });

  it('E05 keep it on one line, whichever characters break or reverse a line', () => {
    const breaks = '\n \r \u2028 \u2029 \u0085 \v \f \u0000 \u202e \u2066 \u200f';
    for (const between of breaks.split(' ')) {
      const { text, html } = verifyEmail(`Pat${between}${between}Open this instead`);
      assert.equal(text.split('\n\n')[0], 'Hello Pat Open this instead,');
      assert.ok(html.includes('<p>Hello Pat Open this instead,</p>'));
    }
  });

  it('E05 leave out a name that mail programs would turn into someone else’s link', () => {
    for (const name of [
      'You won! https://evil.example/claim',
      'go to evil.example now',
      'WWW.EVIL',
      'Evil.Example',
      'bücher.example',
      'сайт.рф',
      'evil.рф/x',
      'evil。com',
      'evil｡com',
      'ｅｖｉｌ．ｃｏｍ',
      'evil.c\u200bom',
      'evil.भारत',
      'claims@evil',
      'Call +7 (912) 345-67-89',
      '555.0100.99',
      '٠١٢٣٤٥٦٧',
    ]) {
      assert.equal(verifyEmail(name).text.split('\n')[0], 'Hello,', name);
    }
    for (const name of [
      'Pat',
      'J. R. R. Tolkien',
      'Dr. Pat O’Neil Jr.',
      '山田 太郎',
      'a/b',
      'Agent 007',
      'Иван И. Иванов',
      'J.R.R. Tolkien',
    ]) {
      assert.equal(verifyEmail(name).text.split('\n')[0], `Hello ${name},`);
    }
  });

  it('E06 name the program of a new device, versions and all', () => {
    for (const device of [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.6478.127 Safari/537.36',
      'grpc-node-js/1.14.7',
      'Pat’s phone',
    ]) {
      const seen = { device, address: '::1', happenedAt: '2026-11-21T12:00:00Z' };
      const mail: Mail = { template: 'new_device', to, displayName: '', ...seen };
      assert.ok(renderMail(mail, URL_).text.includes(`“${device}”`), device);
    }
  });

  it('greet nobody by an empty name, or one of spaces', () => {
    for (const name of ['', '  ', '\n']) {
      assert.equal(verifyEmail(name).text.split('\n')[0], 'Hello,');
    }
  });

  it('tell the owner of a taken address that nothing has changed, without a link', () => {
    const mail: Mail = { template: 'address_taken', to, displayName: 'Pat' };
    const { subject, text } = renderMail(mail, URL_);
    assert.equal(subject, 'You already have an account');
    assert.doesNotMatch(text, /http/);
  });

  it('are left to a newer version if it wrote them', () => {
    const mail = { template: 'of_tomorrow', to, displayName: '' } as unknown as Mail;
    assert.throws(() => renderMail(mail, URL_), /not known/);
  });

  it('name the device and the time of a reused refresh token', () => {
    const { text } = reused('Pat’s phone');
    assert.match(text, /“Pat’s phone” was used twice\./);
    assert.match(text, /at 2030-01-01T00:00:00\.000Z/);
    assert.match(reused('').text, /of your session was used twice/);
  });

  it('E06 lead an owner who did not make the change to where it is undone', () => {
    const link = `${URL_}/secure-account#token=csm_a.b`;
    assert.ok(reused('', 'csm_a.b').text.includes(`\n${link}\n`));
    // Of the version before, whose notices had no token.
    assert.doesNotMatch(reused('').text, /http|undefined/);
  });

  it('E06 say what lifts a lock: that of passwords, and that of codes', () => {
    const locked = (factor: 'password' | 'code', forGood: boolean) =>
      renderMail(
        { template: 'account_locked', to, displayName: '', factor, forGood, happenedAt: 'now' },
        URL_,
      ).text;
    assert.match(locked('password', false), /no password is accepted for a while/);
    assert.match(locked('password', true), /until you set a new password/);
    assert.match(locked('code', true), /recovery code or a passkey/);
    assert.doesNotMatch(locked('code', true), /new password or/);
  });
});
