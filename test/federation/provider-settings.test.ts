import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, readConfig } from '../../src/config.ts';
import { describeConfig } from '../../src/config-text.ts';
import { isListedRedirect } from '../../src/federation/redirect-uris.ts';

const SECRET = 'a-secret-of-a-client';
const ONE = {
  id: 'example',
  display_name: 'Example',
  issuer: 'https://id.example.com',
  client_id: 'countersign',
  client_secret: SECRET,
  redirect_uris: ['https://app.example.com/callback'],
};
const TENANT = '7a4f0f4e-0c53-4d1f-9a55-3a2f0c9a4f11';

function read(value: unknown, files: Record<string, string> = {}) {
  const json = typeof value === 'string' ? value : JSON.stringify(value);
  return readConfig({ COUNTERSIGN_OIDC_PROVIDERS: json }, (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    return text;
  });
}

function problems(value: unknown, files: Record<string, string> = {}): string[] {
  try {
    read(value, files);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return [...error.problems];
  }
}

const withUris = (...redirect_uris: string[]) => [{ ...ONE, redirect_uris }];

describe('COUNTERSIGN_OIDC_PROVIDERS', () => {
  it('fills in what presets know', () => {
    const common = { client_id: 'x', redirect_uris: ONE.redirect_uris };
    const { providers } = read([
      { ...common, id: 'google', preset: 'google' },
      { ...common, id: 'github', preset: 'github' },
      { ...common, id: 'work', preset: 'microsoft', tenant: TENANT },
      { ...common, id: 'gitlab', preset: 'gitlab', issuer: 'https://git.example.com' },
      ONE,
    ]);
    assert.deepEqual(
      providers.map(({ issuer, displayName }) => [displayName, issuer]),
      [
        ['Google', 'https://accounts.google.com'],
        ['GitHub', 'https://github.com/login/oauth'],
        ['Microsoft', `https://login.microsoftonline.com/${TENANT}/v2.0`],
        ['GitLab', 'https://git.example.com'],
        ['Example', 'https://id.example.com'],
      ],
    );
    assert.deepEqual(providers[1]?.scopes, ['read:user', 'user:email']);
    const [, , , , { signUp, autoLink, trustEmail } = {}] = providers;
    assert.deepEqual([signUp, autoLink, trustEmail], [true, false, false]);
  });

  it('lists every mistake of every provider at once, and quotes no secret', () => {
    const found = problems([
      { ...ONE, id: 'Not an id', issuer: 'http://id.example.com', extra: SECRET },
      { ...ONE, preset: 'facebook', sign_up: 'yes' },
      { preset: 'google', id: 'google' },
    ]);
    assert.deepEqual(
      found.map((problem) => problem.split(' ').slice(0, 2).join(' ')),
      [
        'COUNTERSIGN_OIDC_PROVIDERS [0].id',
        'COUNTERSIGN_OIDC_PROVIDERS [0].issuer',
        'COUNTERSIGN_OIDC_PROVIDERS [0]',
        'COUNTERSIGN_OIDC_PROVIDERS [1].preset',
        'COUNTERSIGN_OIDC_PROVIDERS [1].sign_up',
        'COUNTERSIGN_OIDC_PROVIDERS [2].client_id',
        'COUNTERSIGN_OIDC_PROVIDERS [2].redirect_uris',
      ],
    );
    assert.match(found.join(), /has unknown settings: extra/);
    for (const text of [found.join(), problems(`[{"client_secret": "${SECRET}"`).join()]) {
      assert.notEqual(text, '');
      assert.doesNotMatch(text, new RegExp(SECRET));
    }
  });

  it('finds settings that contradict each other', () => {
    const of = (settings: object) => problems([{ ...ONE, ...settings }]).join();
    assert.match(
      of({ preset: 'microsoft' }),
      /tenant is missing[\s\S]*issuer is not for the preset/,
    );
    assert.match(of({ preset: 'microsoft', tenant: 'common' }), /tenant is not the id/);
    assert.match(of({ preset: 'google' }), /issuer is not for the preset google/);
    assert.match(of({ preset: 'github', mfa_amr: ['mfa'] }), /GitHub does not tell/);
    assert.match(of({ issuer: undefined }), /issuer is missing/);
    assert.match(of({ scopes: ['email'] }), /lacks openid/);
    assert.match(of({ client_secret_file: '/x' }), /both client_secret and client_secret_file/);
    assert.match(problems([ONE, ONE]).join(), /\[0?1\].id is that of another provider/);
  });

  it('F01 accepts only redirect URIs that can be compared letter by letter', () => {
    for (const uri of [
      'https://app.example.com/callback',
      'http://127.0.0.1/callback',
      'http://localhost:3000/callback',
      'com.example.app:/callback',
    ]) {
      assert.deepEqual(problems(withUris(uri)), [], uri);
    }
    for (const uri of [
      'https://app.example.com',
      'https://app.example.com/',
      'https://app.example.com/callback?next=/',
      'https://app.example.com/callback#',
      'https://app.example.com/a/../callback',
      'https://APP.example.com/callback',
      'https://app.example.com@evil.example/callback',
      'http://app.example.com/callback',
      'http://127.0.0.1.evil.example/callback',
      'javascript:alert(1)',
      'myapp:/callback',
      'com.example.app://callback',
      '/callback',
    ]) {
      assert.equal(problems(withUris(uri)).length, 1, uri);
    }
  });

  it('F01 takes any port of a native app that listens on loopback, and nothing else', () => {
    const listed = [
      'http://127.0.0.1/callback',
      'http://[::1]/callback',
      'http://localhost:3000/x',
    ];
    const accepted = ['http://127.0.0.1:49152/callback', 'http://[::1]:1/callback', ...listed];
    for (const uri of accepted) assert.ok(isListedRedirect(listed, uri), uri);
    for (const uri of [
      'http://127.0.0.1:49152/callback/',
      'http://127.0.0.1:49152/callback?x',
      'http://127.0.0.1:70000/callback',
      'http://127.0.0.1:80@evil.example/callback',
      'http://localhost:49152/callback',
      'http://localhost:3001/x',
      'https://127.0.0.1:49152/callback',
    ]) {
      assert.equal(isListedRedirect(listed, uri), false, uri);
    }
  });

  it('W08 reads secrets from files, and has them watched', () => {
    const settings = [{ ...ONE, client_secret: undefined, client_secret_file: '/run/secret' }];
    const config = read(settings, { '/run/secret': `${SECRET}\n` });
    assert.equal(config.providers[0]?.clientSecret, SECRET);
    assert.deepEqual(config.files, ['/run/secret']);
    assert.match(problems(settings).join(), /client_secret_file can't be read: ENOENT/);
    assert.match(problems(settings, { '/run/secret': '\n' }).join(), /it is empty/);
  });

  it('shows nothing but names in the effective configuration', () => {
    const shown = describeConfig(read([ONE]));
    assert.equal(shown['providers'], 'example');
    assert.doesNotMatch(JSON.stringify(shown), new RegExp(SECRET));
  });
});
