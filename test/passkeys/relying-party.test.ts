import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, readConfig } from '../../src/config.ts';
import { relyingParty } from '../../src/passkeys/relying-party.ts';

describe('The relying party', () => {
  const of = (env: Record<string, string>, publicUrl = 'https://auth.example.com/id') =>
    relyingParty(
      readConfig(env, () => ''),
      publicUrl,
    );

  function problemOf(name: string, value: string): string {
    try {
      readConfig({ [name]: value }, () => '');
    } catch (error) {
      if (error instanceof ConfigError) return error.problems.join();
    }
    throw new Error(`${value} is taken for ${name}`);
  }

  it('is the host of the public URL, used there and where pages may call from', () => {
    assert.deepEqual(of({ COUNTERSIGN_CORS_ORIGINS: 'https://app.example.com' }), {
      id: 'auth.example.com',
      name: 'auth.example.com',
      origins: ['https://auth.example.com', 'https://app.example.com'],
    });
  });

  it('is the domain and the origins that the operator names', () => {
    const origins = ['https://www.example.com', `android:apk-key-hash:${'a'.repeat(43)}`];
    const env = {
      COUNTERSIGN_CORS_ORIGINS: 'https://app.example.com',
      COUNTERSIGN_PASSKEY_RP_ID: 'example.com',
      COUNTERSIGN_PASSKEY_ORIGINS: origins.join(', '),
    };
    assert.deepEqual(of(env), { id: 'example.com', name: 'example.com', origins });
  });

  it('is localhost at a loopback address, which no passkey can belong to', () => {
    for (const host of ['127.0.0.1', '[::1]']) {
      const { id, origins } = of({}, `http://${host}:8080`);
      assert.deepEqual({ id, origins }, { id: 'localhost', origins: ['http://localhost:8080'] });
    }
  });

  it('is refused if it is not a host name', () => {
    const wrong = ['https://example.com', 'Example.com', '10.0.0.1', '*.example.com', 'a..b', '-a'];
    for (const name of wrong) {
      assert.match(problemOf('COUNTERSIGN_PASSKEY_RP_ID', name), /host name|address/);
    }
  });

  it('is refused with anything that is not an origin', () => {
    const wrong = ['https://example.com/', '*', 'null', 'android:apk-key-hash:x', 'file:///x'];
    for (const origin of wrong) {
      assert.match(problemOf('COUNTERSIGN_PASSKEY_ORIGINS', origin), /list of origins/);
    }
  });
});
