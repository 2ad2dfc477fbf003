import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, type Environment, readConfig, unknownVariables } from '../../src/config.ts';
import { describeConfig } from '../../src/config-text.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const noFiles = (path: string): string => {
  throw new Error(`ENOENT: no such file ${path}`);
};

function problems(env: Environment, readFile = noFiles): string[] {
  try {
    readConfig(env, readFile);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return [...error.problems];
  }
}

describe('configuration', () => {
  it('needs nothing for the embedded default', () => {
    const config = readConfig({}, noFiles);
    assert.equal(config.databaseUrl, undefined);
    assert.equal(config.accessTokenTtlMs, 600_000);
    assert.equal(config.sessionTtlMs, 30 * 24 * 3600_000);
    assert.deepEqual(config.trustedCallers, ['127.0.0.0/8', '::1']);
  });

  it('sizes the caches by COUNTERSIGN_MEMORY, and never leaves them empty', () => {
    const caches = (mib: string) => readConfig({ COUNTERSIGN_MEMORY: mib }, noFiles).caches;
    assert.deepEqual(readConfig({}, noFiles).caches, caches('350'));
    assert.equal(caches('450').tokens, 2 * caches('350').tokens);
    assert.equal(caches('1250').apiKeys, 10 * caches('350').apiKeys);
    assert.ok(caches('200').answers > 1000);
    assert.deepEqual(problems({ COUNTERSIGN_MEMORY: '64' }), [
      'COUNTERSIGN_MEMORY is not between 200 and 1000000',
    ]);
  });

  it('names a tier of rate limits that it can not read', () => {
    const read = (COUNTERSIGN_RATE_LIMIT_TIERS: string) =>
      problems({ COUNTERSIGN_RATE_LIMIT_TIERS });
    assert.deepEqual(read('users=600,role:support=3000'), []);
    assert.deepEqual(read('users:600'), [
      'COUNTERSIGN_RATE_LIMIT_TIERS is not a list like users=600,role:support=3000',
    ]);
  });

  it('lets webhooks into no network of its own unless it is told to', () => {
    const closed = { allowHttp: false, allowedNetworks: [], allowedPorts: [] };
    assert.deepEqual(readConfig({}, noFiles).webhooks, closed);
    const env = {
      COUNTERSIGN_WEBHOOK_ALLOW_HTTP: 'on',
      COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS: '10.1.0.0/16, fd12::/16',
      COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: '8080,9443',
    };
    assert.deepEqual(readConfig(env, noFiles).webhooks, {
      allowHttp: true,
      allowedNetworks: ['10.1.0.0/16', 'fd12::/16'],
      allowedPorts: [8080, 9443],
    });
    for (const ports of ['0', '65536', '80-90', '8080;9443']) {
      assert.deepEqual(problems({ COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: ports }), [
        'COUNTERSIGN_WEBHOOK_ALLOWED_PORTS is not a list of ports like 8080,9443',
      ]);
    }
  });

  it('trusts no caller by their address unless the database is embedded', () => {
    const config = readConfig(
      { DATABASE_URL: 'postgres://db/x', COUNTERSIGN_MASTER_KEY: KEY },
      noFiles,
    );
    assert.deepEqual(config.trustedCallers, []);
  });

  it('lists everything that is wrong at once, by the name of the variable', () => {
    const found = problems({
      DATABASE_URL: 'mysql://db',
      COUNTERSIGN_MASTER_KEY: 'short',
      COUNTERSIGN_GRPC_ADDR: 'nowhere',
      COUNTERSIGN_ACCESS_TOKEN_TTL: '10 minutes',
      COUNTERSIGN_SIGNING_ALG: 'HS256',
      COUNTERSIGN_TRUSTED_CALLERS: '10.0.0.0/64',
      COUNTERSIGN_CORS_ORIGINS: '*',
      COUNTERSIGN_DB_POOL_MAX: '0',
    });
    const named = found.map((problem) => problem.split(' ')[0]);
    assert.deepEqual(named.sort(), [
      'COUNTERSIGN_ACCESS_TOKEN_TTL',
      'COUNTERSIGN_CORS_ORIGINS',
      'COUNTERSIGN_DB_POOL_MAX',
      'COUNTERSIGN_GRPC_ADDR',
      'COUNTERSIGN_MASTER_KEY',
      'COUNTERSIGN_SIGNING_ALG',
      'COUNTERSIGN_TRUSTED_CALLERS',
      'DATABASE_URL',
    ]);
  });

  it('has no origins with wildcards, which would match nothing', () => {
    for (const name of ['COUNTERSIGN_CORS_ORIGINS', 'COUNTERSIGN_PASSKEY_ORIGINS']) {
      const [problem] = problems({ [name]: 'https://app.example.com,https://*.example.com' });
      assert.match(problem ?? '', new RegExp(`${name} .*a wildcard is not accepted`));
    }
  });

  it('never repeats the value of a secret', () => {
    const text = problems({ COUNTERSIGN_MASTER_KEY: 'hunter2hunter2', REDIS_URL: 'x://:pw@h' });
    assert.equal(text.length, 2);
    assert.doesNotMatch(text.join(), /hunter2|pw@/);
  });

  it('finds settings that contradict each other', () => {
    assert.match(problems({ DATABASE_URL: 'postgres://db/x' }).join(), /MASTER_KEY is required/);
    assert.match(problems({ COUNTERSIGN_TLS_CERT_FILE: 'a' }).join(), /go together/);
    assert.match(problems({ COUNTERSIGN_ACCESS_TOKEN_TTL: '31d' }).join(), /longer than/);
  });

  it('E05 shows mail instead of sending it by default if only this machine reaches the service', () => {
    const own = {
      COUNTERSIGN_HTTP_ADDR: '[::1]:0',
      COUNTERSIGN_PUBLIC_URL: 'http://localhost:8080',
    };
    const database = { DATABASE_URL: 'postgres://db/x', COUNTERSIGN_MASTER_KEY: KEY };
    for (const [env, shownTo] of [
      [{}, 'loopback'],
      [own, 'loopback'],
      [{ ...own, COUNTERSIGN_DEV_MAILBOX: 'off' }, 'off'],
      [{ SMTP_URL: 'smtp://mail' }, 'off'],
      [database, 'off'],
      [{ COUNTERSIGN_HTTP_ADDR: '0.0.0.0:8080' }, 'off'],
      [{ COUNTERSIGN_HTTP_ADDR: '192.168.0.7:8080' }, 'off'],
      [{ COUNTERSIGN_PUBLIC_URL: 'https://id.example' }, 'off'],
      [{ COUNTERSIGN_PUBLIC_URL: 'http://127.0.0.1.nip.io' }, 'off'],
      [{ COUNTERSIGN_HTTP_ADDR: '0.0.0.0:1', COUNTERSIGN_DEV_MAILBOX: 'anyone' }, 'anyone'],
    ] as const) {
      assert.equal(readConfig(env, noFiles).mailbox, shownTo, JSON.stringify(env));
    }
    for (const env of [{ SMTP_URL: 'smtp://mail' }, database]) {
      const found = problems({ ...env, COUNTERSIGN_DEV_MAILBOX: 'loopback' });
      assert.match(found.join(), /COUNTERSIGN_DEV_MAILBOX is for the embedded database/);
    }
  });

  it('accepts a public URL and an issuer only without a user, a query or a fragment', () => {
    for (const name of ['COUNTERSIGN_PUBLIC_URL', 'COUNTERSIGN_ISSUER']) {
      for (const fine of ['https://id.example', 'http://[::1]:8080/', 'https://id.example/a/@b']) {
        assert.deepEqual(problems({ [name]: fine }), [], fine);
      }
      for (const wrong of [
        'https://admin@id.example',
        'https://user:hunter2@id.example/',
        'https://id.example/?next=',
        'https://id.example/#',
        'https://id.example/ x',
        'https:\\\\id.example',
        'ftp://id.example',
        'https:///',
      ]) {
        const [found = ''] = problems({ [name]: wrong });
        assert.match(found, /is not a URL like .*, without a user, a query or a fragment/, wrong);
        assert.doesNotMatch(found, /hunter2/);
      }
    }
  });

  it('reads secrets from files, and lists the files to be watched', () => {
    const files: Record<string, string> = { '/run/db': 'postgres://u:p@h/d\n', '/run/key': KEY };
    const config = readConfig(
      { DATABASE_URL_FILE: '/run/db', COUNTERSIGN_MASTER_KEY_FILE: '/run/key' },
      (path) => files[path] ?? noFiles(path),
    );
    assert.equal(config.databaseUrl, 'postgres://u:p@h/d');
    assert.deepEqual(config.files, ['/run/db', '/run/key']);
  });

  it('refuses a secret that is given twice, and a file that does not exist', () => {
    const env = { REDIS_URL: 'redis://h', REDIS_URL_FILE: '/gone' };
    const found = problems(env);
    assert.equal(found.length, 2);
    assert.match(found.join(), /both set/);
    assert.match(found.join(), /can't be read/);
  });

  it('reads a master key in several versions, the first being the current one', () => {
    const next = Buffer.alloc(32, 2).toString('base64');
    const config = readConfig({ COUNTERSIGN_MASTER_KEY: `2:${next},1:${KEY}` }, noFiles);
    assert.deepEqual([...(config.masterKeys?.keys() ?? [])], [2, 1]);
    assert.equal(problems({ COUNTERSIGN_MASTER_KEY: `${KEY},${next}` }).length, 1);
  });

  it('accepts Sentinel and Cluster URLs', () => {
    for (const url of [
      'redis://localhost',
      'rediss://user:pass@host:6380/1',
      'redis+sentinel://:pass@a:26379,b:26379/primary',
      'redis+cluster://a:6379,b:6379,c:6379',
      'rediss+sentinel://user:p%40ss@a,b:26380/prime.eu?sentinel_username=x&sentinel_password=y',
      'rediss+cluster://user:pass@[::1]:6379,b',
    ]) {
      assert.deepEqual(problems({ REDIS_URL: url }), [], url);
    }
    for (const [url, problem] of [
      ['http://a', /is not a URL like redis:/],
      ['redis://a:6379,b:6379', /names several hosts/],
      ['redis+cluster://a:6379/1', /has a path/],
      ['redis+cluster://a:6379?sentinel_password=x', /nothing reads: sentinel_password/],
      ['redis+sentinel://a/x?sentinel_pasword=y', /nothing reads: sentinel_pasword/],
      ['redis+sentinel://:100%@a/x', /%25/],
      ['redis+sentinel://a:99999/x', /between 1 and 65535/],
    ] as const) {
      assert.match(problems({ REDIS_URL: url }).join(), problem, url);
    }
  });

  it('masks every secret that it prints', () => {
    const config = readConfig(
      {
        DATABASE_URL: 'postgres://user:sesame@host/db',
        REDIS_URL: 'redis://:sesame@host',
        SMTP_URL: 'smtp://user:sesame@host',
        COUNTERSIGN_MASTER_KEY: KEY,
      },
      noFiles,
    );
    const text = JSON.stringify(describeConfig(config));
    assert.doesNotMatch(text, /sesame/);
    assert.ok(!text.includes(KEY.slice(0, 10)));
  });

  it('names variables that are no settings', () => {
    const env = { COUNTERSIGN_ISUER: 'x', COUNTERSIGN_MASTER_KEY_FILE: 'y', HOME: '/' };
    assert.deepEqual(unknownVariables(env), ['COUNTERSIGN_ISUER']);
  });
});
