import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { readConfig } from '../../src/config.ts';
import { issueOneTimeToken } from '../../src/one-time-tokens/one-time-token.ts';
import { Keyring } from '../../src/platform/crypto.ts';
import { createLog } from '../../src/platform/log.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { accountOf, newEmail, PASSWORD, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica } from '../harness/service.ts';
import { Authenticator, type Mischief, type Options } from './authenticator.ts';
import {
  loginOptions,
  register,
  signInByPasskey,
  startPasskeyService,
  withPasskey,
} from './people.ts';

const RACERS = 64;

describe('FinishPasskeyLogin', () => {
  let service: Service;
  let database: SqlDatabase;

  before(async () => {
    service = await startPasskeyService({ env: PATIENT });
    database = await openDatabase(
      readConfig(service.env, () => ''),
      createLog('silent'),
    );
    atEnd(() => database.close());
  });

  const finish = (credentialJson: string) => service.auth.finishPasskeyLogin({ credentialJson });

  const setState = (email: string, state: string) =>
    sql(service.databaseUrl, 'update accounts set state = $2 where email = $1', [email, state]);

  async function assertRefused(credentialJson: string) {
    const refused = await refusal(finish(credentialJson));
    assert.equal(refused.code, Code.Unauthenticated);
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
    return refused;
  }

  /** A sign-in that goes wrong in one way is refused, and the same one without it succeeds. */
  async function assertWrong(mischief: Mischief, change = (json: string) => json) {
    const { authenticator } = await withPasskey(service);
    const options = await loginOptions(service);
    await assertRefused(change(authenticator.get(options, mischief)));
    await finish(authenticator.get(options));
  }

  /** The token of a sign-in's challenge, as Login returns it to a caller with a second factor. */
  function challengeToken(email: string): Promise<string> {
    const config = readConfig(service.env, () => '');
    const keyring = new Keyring(config.masterKeys ?? new Map());
    return database.transaction(async (em) => {
      const [account] = await sql<{ id: string }>(
        service.databaseUrl,
        'select id from accounts where email = $1',
        [email],
      );
      const tx = { em, clock: service.clock };
      return (await issueOneTimeToken(tx, keyring, account?.id ?? '', 'mfa_challenge')).token;
    });
  }

  for (const protocol of PROTOCOLS) {
    it(`opens a session of two factors by ${protocol}`, async () => {
      const { authenticator } = await withPasskey(service);
      const auth = service.client(AuthService, protocol);
      const { optionsJson } = await auth.beginPasskeyLogin({});
      const options = JSON.parse(optionsJson);
      assert.equal(options.userVerification, 'required');
      assert.equal(options.allowCredentials, undefined);
      const credentialJson = authenticator.get(optionsJson);
      const { tokens } = await auth.finishPasskeyLogin({ credentialJson, deviceLabel: 'phone' });
      assert.match(tokens?.refreshToken ?? '', /^csr_/);
      const token = tokens?.accessToken ?? '';
      const { active, principal } = await service.sessions.introspectToken({ token });
      assert.equal(active, true);
      assert.deepEqual(principal?.amr, ['hwk', 'user', 'mfa']);
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
      assert.equal(claims.acr, 'aal2');
    });
  }

  it('says that the key of a passkey that may leave its device is in software', async () => {
    const authenticator = new Authenticator({ algorithm: 'Ed25519', synced: true, counts: false });
    await withPasskey(service, authenticator);
    const { accessToken: token } = await signInByPasskey(service, authenticator);
    const { principal } = await service.sessions.introspectToken({ token });
    assert.deepEqual(principal?.amr, ['swk', 'user', 'mfa']);
  });

  it('accepts authenticators that do not count', async () => {
    const { authenticator } = await withPasskey(service, new Authenticator({ counts: false }));
    await signInByPasskey(service, authenticator);
    await signInByPasskey(service, authenticator);
  });

  it('E01 writes the event of a sign-in with its session', async () => {
    const { authenticator } = await withPasskey(service);
    const { sessionId } = await signInByPasskey(service, authenticator);
    const rows = await sql<{ label: string; amr: string[]; together: boolean }>(
      service.databaseUrl,
      `select s.device_label as label, s.amr, e.xmin::text = s.xmin::text as together
       from sessions s join audit_events e on e.details->>'session_id' = s.id::text
       join accounts a on a.id = s.account_id and a.last_login_at is not null where s.id = $1`,
      [sessionId],
    );
    assert.deepEqual(rows, [{ label: 'phone', amr: ['hwk', 'user', 'mfa'], together: true }]);
  });

  it('writes the event of a refusal afterwards, with its reason and whose passkey it was', async () => {
    const { person, authenticator } = await withPasskey(service);
    const options = await loginOptions(service);
    await assertRefused(authenticator.get(options, { origin: 'https://example.org' }));
    const events = () =>
      sql<{ reason: string }>(
        service.databaseUrl,
        `select e.reason from audit_events e join accounts a on a.id = e.subject
         where a.email = $1 and e.type = 'sign_in.failed'`,
        [person.email],
      );
    await eventually(async () => (await events()).length === 1);
    assert.deepEqual(await events(), [{ reason: 'MFA_CODE_INVALID' }]);
  });

  it('refuses another origin', () => assertWrong({ origin: 'https://app.example.org' }));
  it('refuses the relying party as an origin if it is not one', () =>
    assertWrong({ origin: 'https://example.com' }));
  it('refuses another relying party', () => assertWrong({ rpId: 'example.org' }));
  it('refuses an authenticator that did not verify its user', () =>
    assertWrong({ userVerified: false }));
  it('refuses an authenticator that nobody touched', () => assertWrong({ userPresent: false }));
  it('refuses an answer of the wrong type', () => assertWrong({ type: 'webauthn.create' }));
  it('refuses a challenge that is not ours', () => assertWrong({ challenge: 'A'.repeat(74) }));
  it('refuses a page in a frame of another origin', () =>
    assertWrong({ clientData: { topOrigin: 'https://example.org' } }));
  it('refuses a passkey that may leave its device now, and could not when it was registered', () =>
    assertWrong({ synced: true }));
  it('refuses a person who does not say whose passkey it is', () =>
    assertWrong({ userHandle: null }));
  it('refuses a passkey of someone other than the person it names', () =>
    assertWrong({ userHandle: Buffer.alloc(16).toString('base64url') }));

  it('refuses a signature with one bit changed', () =>
    assertWrong({}, (json) => {
      const credential = JSON.parse(json);
      const signature = Buffer.from(credential.response.signature, 'base64url');
      signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
      credential.response.signature = signature.toString('base64url');
      return JSON.stringify(credential);
    }));

  it('refuses a passkey’s answer under the id of another', async () => {
    const { authenticator: mine } = await withPasskey(service);
    const { authenticator: theirs } = await withPasskey(service);
    const answer = JSON.parse(mine.get(await loginOptions(service)));
    const { credentialId: id } = theirs;
    await assertRefused(JSON.stringify({ ...answer, id, rawId: id }));
  });

  it('refuses an unknown passkey in the same words as a wrong answer', async () => {
    const { authenticator } = await withPasskey(service);
    const options = await loginOptions(service);
    const wrong = await assertRefused(authenticator.get(options, { rpId: 'example.org' }));
    const unknown = await assertRefused(new Authenticator().get(options));
    assert.deepEqual({ ...unknown, requestId: '' }, { ...wrong, requestId: '' });
  });

  it('refuses a passkey that was deleted', async () => {
    const { person, authenticator, passkeyId } = await withPasskey(service);
    const answer = authenticator.get(await loginOptions(service));
    await accountOf(service, person).deletePasskey({ passkeyId });
    await assertRefused(answer);
  });

  it('refuses anything that is not a credential, whatever its form', async () => {
    const { authenticator } = await withPasskey(service);
    const right = JSON.parse(authenticator.get(await loginOptions(service)));
    const base64url = (text: string | Buffer) => Buffer.from(text).toString('base64url');
    const response = (change: object) =>
      JSON.stringify({ ...right, response: { ...right.response, ...change } });
    const junk = [
      'no JSON',
      'null',
      '7',
      '[]',
      '['.repeat(16_000),
      `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
      JSON.stringify({ ...right, id: null }),
      JSON.stringify({ ...right, rawId: 'AAAA' }),
      JSON.stringify({ ...right, id: 'a\u0000b', rawId: 'a\u0000b' }),
      JSON.stringify({ ...right, type: ['public-key'] }),
      JSON.stringify({ ...right, response: 'text' }),
      response({ userHandle: {} }),
      response({ userHandle: '\u0000' }),
      response({ signature: 'AAAA' }),
      response({ signature: 'A'.repeat(10_000) }),
      response({ signature: [] }),
      response({ authenticatorData: 'AAAA' }),
      response({ authenticatorData: base64url(Buffer.alloc(4000, 0xff)) }),
      response({ clientDataJSON: base64url('{"challenge":"AAAA"}') }),
      response({ clientDataJSON: base64url(`{"challenge":"${'A'.repeat(4000)}"}`) }),
      response({ clientDataJSON: base64url(Buffer.from([0xff, 0xfe])) }),
    ];
    for (const credentialJson of junk) await assertRefused(credentialJson);
    await finish(JSON.stringify(right));
  });

  it('C06 accepts an answer once', async () => {
    const { authenticator } = await withPasskey(service, new Authenticator({ counts: false }));
    const options = await loginOptions(service);
    const answer = authenticator.get(options);
    await finish(answer);
    await assertRefused(answer);
    // Nor is another answer to the same challenge accepted.
    await assertRefused(authenticator.get(options));
  });

  it(`C06 lets one of ${RACERS} answers to one challenge in, on two replicas`, async () => {
    const replica = await startReplica(service);
    const { authenticator } = await withPasskey(service, new Authenticator({ counts: false }));
    const options = await loginOptions(service);
    const racers = Array.from({ length: RACERS }, (_, i) => {
      const { auth } = i % 2 === 0 ? service : replica;
      return auth.finishPasskeyLogin({ credentialJson: authenticator.get(options) });
    });
    const results = await Promise.allSettled(racers);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const racer of racers) {
      const reason = await racer.then(
        () => 'MFA_CODE_INVALID',
        async () => (await refusal(racer)).reason,
      );
      assert.equal(reason, 'MFA_CODE_INVALID');
    }
  });

  it('stores nothing for a challenge before it is answered', async () => {
    const count = async () =>
      (await sql(service.databaseUrl, 'select 1 from used_passkey_challenges')).length;
    const before_ = await count();
    for (let i = 0; i < 20; i += 1) await loginOptions(service);
    assert.equal(await count(), before_);
  });

  it('refuses a counter that went backwards, and leaves an event about the copied passkey', async () => {
    const { authenticator, passkeyId } = await withPasskey(service);
    await signInByPasskey(service, authenticator);
    const known = authenticator.counter;
    await assertRefused(authenticator.get(await loginOptions(service), { counter: known }));
    await assertRefused(authenticator.get(await loginOptions(service), { counter: 0 }));
    const events = await sql<{ details: unknown; outcome: string }>(
      service.databaseUrl,
      `select details, outcome from audit_events
       where type = 'passkey.counter_reversed' and details->>'passkey_id' = $1 order by id`,
      [passkeyId],
    );
    const event = (counter: number) => ({
      details: { passkey_id: passkeyId, known_counter: known, counter },
      outcome: 'failure',
    });
    assert.deepEqual(events, [event(known), event(0)]);
    await signInByPasskey(service, authenticator);
  });

  it('says that the account is suspended only to a caller who has its passkey', async () => {
    const { person, authenticator } = await withPasskey(service);
    await setState(person.email, 'suspended');
    const options = await loginOptions(service);
    await assertRefused(authenticator.get(options, { userVerified: false }));
    const refused = await refusal(finish(authenticator.get(options)));
    assert.equal(refused.code, Code.PermissionDenied);
    assert.equal(refused.reason, 'ACCOUNT_SUSPENDED');
  });

  it('does not know the passkeys of a deleted account', async () => {
    const { person, authenticator } = await withPasskey(service);
    await setState(person.email, 'deleted');
    await assertRefused(authenticator.get(await loginOptions(service)));
  });

  it('says that the address is unverified if sign-ins need a verified one', async () => {
    const lenient = await startReplica(service, {
      env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' },
    });
    const email = newEmail();
    await lenient.auth.signUp({ email, password: PASSWORD, displayName: '' });
    const authenticator = new Authenticator();
    await register(lenient, await signIn(lenient, email), authenticator);
    const refused = await refusal(finish(authenticator.get(await loginOptions(service))));
    assert.equal(refused.code, Code.FailedPrecondition);
    assert.equal(refused.reason, 'EMAIL_NOT_VERIFIED');
    await signInByPasskey(lenient, authenticator);
  });

  it('asks for the passkeys of the account that a sign-in’s challenge is for', async () => {
    const { person, authenticator } = await withPasskey(service);
    const options = await loginOptions(service, await challengeToken(person.email));
    const { allowCredentials }: Options = JSON.parse(options);
    assert.deepEqual(
      allowCredentials?.map(({ id }) => id),
      [authenticator.credentialId],
    );
    // A person who is asked for one of their credentials need not say whose it is.
    await finish(authenticator.get(options, { userHandle: null }));
  });

  it('refuses a challenge that was for another account', async () => {
    const { person } = await withPasskey(service);
    const { authenticator } = await withPasskey(service);
    const options = await loginOptions(service, await challengeToken(person.email));
    await assertRefused(authenticator.get(options));
  });

  it('refuses the challenge of a registration', async () => {
    const { person, authenticator } = await withPasskey(service);
    const { optionsJson } = await accountOf(service, person).beginPasskeyRegistration({});
    const { challenge }: Options = JSON.parse(optionsJson);
    await assertRefused(authenticator.get(await loginOptions(service), { challenge }));
  });

  it('refuses a token that is not a sign-in’s challenge', async () => {
    const refused = await refusal(loginOptions(service, `csc_${'A'.repeat(22)}.${'A'.repeat(43)}`));
    assert.equal(refused.reason, 'TOKEN_INVALID');
    assert.deepEqual(refused.fields, ['challenge_token']);
  });
});

describe('FinishPasskeyLogin, elsewhere', () => {
  it('refuses an answer to a challenge that is more than 5 minutes old', async () => {
    const service = await startPasskeyService();
    const { authenticator } = await withPasskey(service);
    const early = authenticator.get(await loginOptions(service));
    const late = authenticator.get(await loginOptions(service));
    service.clock.advance(298_000);
    await service.auth.finishPasskeyLogin({ credentialJson: early });
    service.clock.advance(3000);
    const refused = await refusal(service.auth.finishPasskeyLogin({ credentialJson: late }));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
  });

  it('accepts the apps and origins that the operator named, and no others', async () => {
    const app = `android:apk-key-hash:${'A'.repeat(43)}`;
    const service = await startPasskeyService({
      env: { COUNTERSIGN_PASSKEY_ORIGINS: `${app},https://app.example.com` },
    });
    const { authenticator } = await withPasskey(service);
    const answer = async (origin: string) =>
      service.auth.finishPasskeyLogin({
        credentialJson: authenticator.get(await loginOptions(service), { origin }),
      });
    await answer(app);
    const refused = await refusal(answer('https://auth.example.com'));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
  });

  it('works on the embedded database, at localhost, without any setting', async () => {
    const service = await startPasskeyService({
      env: {
        DATABASE_URL: '',
        COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
        COUNTERSIGN_PUBLIC_URL: '',
        COUNTERSIGN_PASSKEY_RP_ID: '',
        COUNTERSIGN_CORS_ORIGINS: '',
      },
    });
    const origin = `http://localhost:${service.app.httpAddress.split(':')[1]}`;
    const { authenticator, passkeyId } = await withPasskey(service, new Authenticator({ origin }));
    assert.notEqual(passkeyId, '');
    const { tokens } = await service.auth.finishPasskeyLogin({
      credentialJson: authenticator.get(await loginOptions(service)),
    });
    assert.match(tokens?.refreshToken ?? '', /^csr_/);
  });
});
