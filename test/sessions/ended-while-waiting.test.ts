import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { user } from '../access/shop.ts';
import { moved } from '../accounts/moved.ts';
import { adminClient, withRoles } from '../administrators.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { appCode } from '../authenticator-app.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, NEW_PASSWORD, person, signIn, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { sessionsOf, withSessions } from './own-sessions.ts';

let service: Service;
let replica: Service;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
});

/** Makes everyone who locks an account wait, in the order in which they come. */
async function holdAccount(id: string) {
  const { databaseUrl } = service;
  const holder = new pg.Client({ connectionString: databaseUrl });
  await holder.connect();
  atEnd(() => holder.end());
  await holder.query('begin');
  await holder.query('select from accounts where id = $1 for update', [id]);
  const waiting = (count: number) =>
    eventually(async () => {
      const found = await sql(
        databaseUrl,
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return found.length === count;
    });
  return { waiting, release: () => holder.query('commit') };
}

type Act = () => Promise<unknown>;

/** The reason why a call is refused that waits for the account of `id` behind what ends its session. */
async function refusedBehind(id: string, end: Act, call: Act): Promise<string | undefined> {
  const { waiting, release } = await holdAccount(id);
  const ended = end();
  await waiting(1);
  const refused = refusal(call());
  await waiting(2);
  await release();
  await ended;
  return (await refused).reason;
}

/** The same for one that waits, while its session or API key is ended by what need not wait. */
async function refusedMeanwhile(id: string, call: Act, end: Act): Promise<string | undefined> {
  const { waiting, release } = await holdAccount(id);
  const refused = refusal(call());
  await waiting(1);
  await end();
  await release();
  return (await refused).reason;
}

const mailed = async (to: string, subject: RegExp) =>
  tokenIn(await service.mail.next(to, subject)) ?? '';

describe('A call whose session ends while it waits for a lock', () => {
  it('S09 creates no API key behind SecureAccount, which has revoked them all', async () => {
    const { email, to } = await moved(service);
    const thief = await signIn(replica, to);
    const token = await mailed(email, /address was changed/);
    const reason = await refusedBehind(
      userIdOf(thief),
      () => service.auth.secureAccount({ token }),
      () => newKey(replica, thief),
    );
    assert.equal(reason, 'TOKEN_REVOKED');
  });

  it("S09 adds no second factor behind ResetPassword, which would be a thief's", async () => {
    const { email, userId, ...thief } = await person(service);
    const account = accountOf(replica, thief);
    const { secret } = await account.beginTotpEnrollment({});
    await service.auth.requestPasswordReset({ email });
    const token = await mailed(email, /Set a new password/);
    const code = appCode(secret, service.clock.now());
    const reason = await refusedBehind(
      userId,
      () => service.auth.resetPassword({ token, newPassword: NEW_PASSWORD }),
      () => account.confirmTotpEnrollment({ code }),
    );
    assert.equal(reason, 'TOKEN_REVOKED');
    await signIn(service, email, NEW_PASSWORD);
  });

  it('S09 ends nobody else behind RevokeOtherSessions, which has ended the caller', async () => {
    const [own, other] = await withSessions(service, 2);
    assert.ok(own && other);
    const reason = await refusedBehind(
      userIdOf(own),
      () => sessionsOf(service, own).revokeOtherSessions({}),
      () => sessionsOf(replica, other).revokeOtherSessions({}),
    );
    assert.equal(reason, 'TOKEN_REVOKED');
    await service.auth.refreshToken({ refreshToken: own.refreshToken });
  });

  it('S09 grants no role, however long it waits for its holder', async () => {
    const boss = await withRoles(service, 'user', 'admin');
    const thief = await signIn(service, boss.email);
    const { userId } = await person(service);
    const reason = await refusedMeanwhile(
      userId,
      () => adminClient(replica, thief).grantRole({ holder: user(userId), role: 'admin' }),
      () => sessionsOf(service, boss).revokeOtherSessions({}),
    );
    assert.equal(reason, 'TOKEN_REVOKED');
  });

  it('S09 does nothing by an API key that has been revoked', async () => {
    const boss = await withRoles(service, 'user', 'admin');
    const { id, secret } = await newKey(service, boss, { scopes: ['users.write'] });
    const { userId } = await person(service);
    const reason = await refusedMeanwhile(
      userId,
      () => adminClient(replica, { accessToken: secret }).suspendUser({ userId }),
      () => keysOf(service, boss).revokeApiKey({ apiKeyId: id }),
    );
    assert.equal(reason, 'TOKEN_REVOKED');
  });
});
