import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { SMTPServer } from 'smtp-server';
import { checkCertificate } from '../../src/doctor/certificate.ts';
import { sentencesPage } from '../../src/doctor/sentences.ts';
import { FakeProvider } from '../federation/fake-provider.ts';
import { atEnd } from '../harness/at-end.ts';
import { runCommand } from '../harness/command.ts';
import { MailServer } from '../harness/mail-server.ts';
import { REDIS_URL, temporaryDirectory } from '../harness/prepared.ts';
import { makeCertificate, skip } from '../http/certificates.ts';
import { freePort, redis as startRedis } from '../servers.ts';
import { assertFound, doctor } from './doctor.ts';

/** Nothing else to ask. */
const dataDir = temporaryDirectory();
const EMBEDDED = { COUNTERSIGN_DATA_DIR: dataDir };

describe('countersign doctor', () => {
  it('exits with 0 if all is well, and prints a line for each dependency', async () => {
    const { code, text } = await runCommand(['doctor'], EMBEDDED);
    assert.equal(code, 0, text);
    assert.match(text, /^ok {7}embedded\.new: /m);
    assert.match(text, /^ok {7}redis\.none: /m);
    assert.match(text, /^0 failures, 0 warnings$/m);
  });

  it('exits with 1 for warnings, 69 for failures, 64 for wrong usage and 78 for a wrong setting', async () => {
    const warned = { ...EMBEDDED, COUNTERSIGN_DEV_MAILBOX: 'off' };
    const { code, text } = await runCommand(['doctor'], warned);
    assert.equal(code, 1, text);
    assert.match(text, /^warning {2}smtp\.none: .*\n {9}→ set it/m);
    const failing = { ...EMBEDDED, REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
    assert.equal((await doctor(failing)).code, 69);
    assert.equal((await runCommand(['doctor', 'all'], EMBEDDED)).code, 64);
    assert.equal((await runCommand(['doctor'], { REDIS_URL: 'redis' })).code, 78);
  });

  it('has each of its sentences in docs/doctor.md', async () => {
    const { text } = await runCommand(['doctor', '--page'], {});
    assert.equal(text, sentencesPage());
    assert.ok(
      readFileSync('docs/doctor.md', 'utf8').endsWith(text),
      'run `countersign doctor --page`',
    );
  });
});

describe('countersign doctor: Redis', () => {
  let url: string;
  let admin: Redis;

  before(async () => {
    const server = await startRedis();
    url = server.url;
    atEnd(() => server.stop());
    admin = new Redis(url);
    atEnd(() => admin.disconnect());
  });

  const at = (redisUrl: string) => doctor({ ...EMBEDDED, REDIS_URL: redisUrl });

  it('names the version and the role', async () => {
    const { findings } = await at(url);
    const found = findings.find(({ code }) => code === 'redis.ok');
    assert.match(found?.says ?? '', /^Redis \d+\.[\d.]+ at 127\.0\.0\.1:\d+, master$/);
    assert.ok((found?.ms ?? -1) >= 0);
  });

  it('sees a server that is not there, and wrong credentials, which it does not print', async () => {
    assertFound(await at(`redis://127.0.0.1:${await freePort()}`), 'redis.refused');
    const wrong = await at(url.replace('//', '//someone:sesame@'));
    assertFound(wrong, 'redis.credentials');
    assert.doesNotMatch(wrong.text, /sesame/);
  });

  it('sees a user who may not do what is needed', async () => {
    await admin.acl('SETUSER', 'narrow', 'on', '>p', '~*', '+ping');
    assertFound(await at(url.replace('//', '//narrow:p@')), 'redis.commands');
  });

  it('sees a policy that forgets counts, and a replica', async () => {
    await admin.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
    assertFound(await at(url), 'redis.ok', 'redis.evicts');
    await admin.config('SET', 'maxmemory', '0');
    await admin.replicaof('127.0.0.1', await freePort());
    const examined = await at(url);
    await admin.replicaof('NO', 'ONE');
    assertFound(examined, 'redis.replica');
  });

  it('knows the shared one too', async () => {
    assertFound(await at(REDIS_URL), 'redis.ok');
  });
});

describe('countersign doctor: SMTP', () => {
  const at = (smtpUrl: string) => doctor({ ...EMBEDDED, SMTP_URL: smtpUrl });

  async function listen(server: SMTPServer): Promise<string> {
    const port = await freePort();
    server.on('error', () => {});
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    atEnd(() => new Promise<void>((resolve) => server.close(() => resolve())));
    return `127.0.0.1:${port}`;
  }

  it('sees a server that takes mail, and sends it none', async () => {
    const mail = new MailServer();
    const url = await mail.listen();
    atEnd(() => mail.close());
    const { findings } = await at(url);
    const found = findings.find(({ code }) => code === 'smtp.ok');
    assert.match(found?.says ?? '', /takes mail, without TLS, without a user/);
    assert.deepEqual(mail.mails, []);
  });

  it('sees a server that is not there, refuses its user, or lets no user in', async () => {
    assertFound(await at(`smtp://127.0.0.1:${await freePort()}`), 'smtp.refused');
    const strict = await listen(
      new SMTPServer({
        disabledCommands: ['STARTTLS'],
        allowInsecureAuth: true,
        onAuth: (_auth, _session, done) => done(new Error('no')),
      }),
    );
    const refused = await at(`smtp://someone:sesame@${strict}`);
    assertFound(refused, 'smtp.auth');
    assert.doesNotMatch(refused.text, /sesame/);
    const open = await listen(new SMTPServer({ disabledCommands: ['STARTTLS', 'AUTH'] }));
    assertFound(await at(`smtp://someone:sesame@${open}`), 'smtp.no_auth');
  });

  it('sees a certificate that nobody vouches for', async () => {
    // The library brings one of its own making.
    const host = await listen(new SMTPServer({ authOptional: true }));
    assertFound(await at(`smtp://${host}`), 'smtp.tls');
    assertFound(await at(`smtp://${host}/?tls.rejectUnauthorized=false`), 'smtp.ok');
  });
});

describe('countersign doctor: certificates', { skip }, () => {
  const directory = temporaryDirectory();
  const DAY_MS = 24 * 3600_000;

  /** What it says in so many days about a certificate that is made now, for two days. */
  async function codes(files: { cert: string; key: string }, days = 0, publicUrl?: string) {
    const tls = { certFile: files.cert, keyFile: files.key, clientCaFile: undefined };
    const found = await checkCertificate(tls, publicUrl, new Date(Date.now() + days * DAY_MS));
    return found.map(({ code }) => code.replace('certificate.', ''));
  }

  it('says how long they are valid, and for whom', async () => {
    const made = makeCertificate(directory, 'one', 'DNS:id.example.com');
    assert.deepEqual(await codes(made, -20), ['early']);
    assert.deepEqual(await codes(made), ['soon']);
    assert.deepEqual(await codes(made, 3), ['expired']);
    assert.deepEqual(await codes(made, 0, 'https://id.example.com'), ['soon']);
    assert.deepEqual(await codes(made, 0, 'https://login.example.com'), ['soon', 'name']);
  });

  it('sees files that do not fit together, or can not be read', async () => {
    const [one, other] = [makeCertificate(directory, 'one'), makeCertificate(directory, 'two')];
    assert.deepEqual(await codes({ cert: one.cert, key: other.key }), ['soon', 'other_key']);
    assert.deepEqual(await codes({ cert: one.cert, key: join(directory, 'none') }), [
      'soon',
      'unreadable',
    ]);
    const empty = join(directory, 'empty.pem');
    writeFileSync(empty, '');
    assert.deepEqual(await codes({ cert: empty, key: one.key }), ['unreadable']);
  });
});

describe('countersign doctor: servers outside', () => {
  it('sees which providers people can be sent to', async () => {
    const [good, faulty, gone] = await Promise.all([
      FakeProvider.start(),
      FakeProvider.start(),
      FakeProvider.start(),
    ]);
    faulty.faults.discovery = '404';
    await gone.stop();
    const list = [
      good.settings({ id: 'good' }),
      faulty.settings({ id: 'faulty' }),
      gone.settings({ id: 'gone' }),
      good.settings({ id: 'misspelt', issuer: `${good.issuer}/` }),
    ];
    const env = { ...EMBEDDED, COUNTERSIGN_OIDC_PROVIDERS: JSON.stringify(list) };
    const examined = await doctor(env);
    assertFound(
      examined,
      'providers.ok',
      'providers.discovery',
      'providers.away',
      'providers.issuer',
    );
    assert.doesNotMatch(examined.text, /secret-of-the-client/);
  });

  it('sees whose keys can be had, and whether passwords can be looked up', async () => {
    const provider = await FakeProvider.start();
    const gone = await FakeProvider.start();
    await gone.stop();
    const issuer = (url: string) => ({
      issuer: url,
      audience: 'countersign',
      subjects: [{ subject: 'a', service_account: '00000000-0000-4000-8000-000000000000' }],
    });
    const issuers = [issuer(provider.issuer), issuer(gone.issuer)];
    const examined = await doctor({
      ...EMBEDDED,
      COUNTERSIGN_WORKLOAD_ISSUERS: JSON.stringify(issuers),
      COUNTERSIGN_PWNED_PASSWORDS_URL: `${provider.issuer}/range`,
    });
    assertFound(
      examined,
      'workload_issuers.ok',
      'workload_issuers.away',
      'breached_passwords.unusable',
    );
  });
});
