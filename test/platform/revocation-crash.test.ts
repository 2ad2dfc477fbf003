import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { type Child, type Environment, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { PASSWORD } from '../harness/people.ts';
import { MASTER_KEY, REDIS_URL } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { CRASHES } from '../harness/scale.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';

/** A part of the Redis server for this file alone, to be flushed. */
const OWN_REDIS = new URL('/12', REDIS_URL).href;
const NEW_PASSWORD = 'seven violet kettles on a raft';
const BATCH = 50;

const ENV = {
  ...PATIENT,
  REDIS_URL: OWN_REDIS,
  COUNTERSIGN_MASTER_KEY: MASTER_KEY,
  COUNTERSIGN_ISSUER: 'https://issuer.test',
  COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
  COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
  COUNTERSIGN_ARGON2_TIME_COST: '1',
  COUNTERSIGN_RATE_LIMITS: 'off',
  COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
  // So that nothing is inactive because it has expired.
  COUNTERSIGN_ACCESS_TOKEN_TTL: '1h',
  COUNTERSIGN_LOG_LEVEL: 'warn',
};

type Revocation = {
  /** Must be over once the call was answered. */
  ends: Tokens[];
  /** Must not be, whatever becomes of the call. */
  spares: Tokens[];
  call(at: ReturnType<typeof clients>): Promise<unknown>;
};

/** Every way in which people end sessions at once, with the sessions that it is about. */
const REVOCATIONS: ((sessions: [Tokens, Tokens, Tokens]) => Revocation)[] = [
  ([own, other, third]) => ({
    ends: [other],
    spares: [own, third],
    call: (at) =>
      at.client(SessionService, 'grpc', own.accessToken).revokeSession({
        sessionId: other.sessionId,
      }),
  }),
  ([own, ...others]) => ({
    ends: others,
    spares: [own],
    call: (at) => at.client(SessionService, 'grpc', own.accessToken).revokeOtherSessions({}),
  }),
  ([own, ...others]) => ({
    ends: [own],
    spares: others,
    call: (at) => at.auth.logout({ refreshToken: own.refreshToken }),
  }),
  ([own, ...others]) => ({
    ends: [own],
    spares: others,
    call: (at) =>
      at
        .client(SessionService, 'grpc', own.accessToken)
        .revokeSession({ sessionId: own.sessionId }),
  }),
  ([own, ...others]) => ({
    ends: others,
    spares: [own],
    call: (at) =>
      at.client(AccountService, 'grpc', own.accessToken).changePassword({
        currentPassword: PASSWORD,
        newPassword: NEW_PASSWORD,
      }),
  }),
];

let people = 0;

/** A new person with three sessions. */
async function person({ auth }: ReturnType<typeof clients>): Promise<[Tokens, Tokens, Tokens]> {
  people += 1;
  const email = `revoked-${people}@example.com`;
  await auth.signUp({ email, password: PASSWORD });
  const signIn = async () => {
    const { outcome } = await auth.login({ email, password: PASSWORD });
    if (outcome.case !== 'tokens') throw new Error('no tokens');
    return outcome.value;
  };
  return [await signIn(), await signIn(), await signIn()];
}

type Sessions = Service['sessions'];

/** Which of these access tokens are active. */
async function active(sessions: Sessions, tokens: readonly Tokens[]): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (let from = 0; from < tokens.length; from += BATCH) {
    const requests = tokens.slice(from, from + BATCH).map(({ accessToken: token }) => ({ token }));
    const { responses } = await sessions.batchIntrospectTokens({ requests });
    answers.push(...responses.map((each) => each.active));
  }
  return answers;
}

/** What has been acknowledged so far, and what must be unchanged from the last round. */
type Known = { ended: Tokens[]; justEnded: Tokens[]; spared: Tokens[]; unanswered: Tokens[] };

const nothing = (ended: Tokens[] = []): Known => ({
  ended,
  justEnded: [],
  spared: [],
  unanswered: [],
});

/** Revokes in every way at once, until the service dies. */
function work(child: Child, all: Revocation[], known: Known): Promise<unknown> {
  const at = clients(child);
  return Promise.all(
    all.map(async ({ ends, spares, call }, index) => {
      known.spared.push(...spares);
      await sleep(index * 2);
      const answered = await call(at).then(
        () => true,
        () => false,
      );
      (answered ? known.justEnded : known.unanswered).push(...ends);
    }),
  );
}

/** Nothing that was acknowledged is lost, nothing else is, and nothing is half over. */
async function verify(child: Child, known: Known): Promise<void> {
  const { sessions, auth } = clients(child);
  const ended = [...known.ended, ...known.justEnded];
  assert.ok((await active(sessions, ended)).every((each) => !each));
  assert.ok((await active(sessions, known.spared)).every(Boolean));
  for (const { refreshToken } of known.justEnded) {
    const { reason } = await refusal(auth.refreshToken({ refreshToken }));
    assert.equal(reason, 'TOKEN_REVOKED');
  }
  const unanswered = await active(sessions, known.unanswered);
  for (const [index, { refreshToken }] of known.unanswered.entries()) {
    const call = auth.refreshToken({ refreshToken });
    if (unanswered[index]) await call;
    else assert.equal((await refusal(call)).reason, 'TOKEN_REVOKED');
  }
}

/** The surviving replica knows what the other acknowledged. */
function assertHeard({ sessions }: Service, known: Known): Promise<void> {
  return eventually(async () => (await active(sessions, known.justEnded)).every((each) => !each));
}

/**
 * Returns how many sessions acknowledged calls have ended, and how many interrupted calls were to end.
 */
async function crash(env: Environment, survivor: Service, redis: Redis) {
  let known = nothing();
  const count = { acknowledged: 0, cutOff: 0 };
  for (let round = 0; round < CRASHES; round += 1) {
    const child = await spawnService(env);
    await verify(child, known);
    known = nothing([...known.ended, ...known.justEnded]);
    const at = clients(child);
    const all = await Promise.all(
      [...REVOCATIONS, ...REVOCATIONS].map(async (revocation) => revocation(await person(at))),
    );
    const working = work(child, all, known);
    const enough = round % all.length;
    await eventually(() => known.justEnded.length + known.unanswered.length > enough, 20_000);
    if (round % 3 === 0) await redis.flushdb();
    await sleep((round * 7) % 20);
    assert.equal(await child.end('SIGKILL'), 'SIGKILL');
    await working;
    if (round % 3 === 1) await redis.flushdb();
    await assertHeard(survivor, known);
    count.acknowledged += known.justEnded.length;
    count.cutOff += known.unanswered.length;
  }
  const child = await spawnService(env);
  await redis.flushdb();
  await verify(child, known);
  assert.equal(await child.end(), 0);
  return count;
}

describe('kill -9 during revocations', () => {
  it(`S09 W05 loses none that was acknowledged in ${CRASHES} crashes, and no flush of Redis brings one back`, async (t) => {
    const databaseUrl = await createDatabase();
    const redis = new Redis(OWN_REDIS);
    atEnd(() => redis.disconnect());
    const survivor = await startService({ databaseUrl, env: ENV });
    const count = await crash({ ...ENV, DATABASE_URL: databaseUrl }, survivor, redis);
    t.diagnostic(JSON.stringify(count));
    assert.ok(count.acknowledged >= CRASHES);
  });
});
