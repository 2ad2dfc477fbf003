import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { parseRefreshToken, refreshHash } from '../../src/sessions/refresh-secret.ts';
import { testKeyring } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { signedIn } from '../harness/people.ts';
import { ROUNDS } from '../harness/scale.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const RACERS = 64;

type Head = { refresh_generation: number; refresh_hash: Buffer; ended_at: Date | null };

describe('RefreshToken, raced for', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService();
    replica = await startReplica(service);
  });

  /** All at once, every other one on the other replica. Every racer is answered with tokens. */
  async function race(refreshToken: string): Promise<string> {
    const racers = Array.from({ length: RACERS }, (_, i) =>
      (i % 2 ? service : replica).auth.refreshToken({ refreshToken }),
    );
    const successors = (await Promise.all(racers)).map(({ tokens }) => tokens?.refreshToken);
    const [successor = '', ...others] = new Set(successors);
    assert.deepEqual(others, []);
    assert.notEqual(successor, refreshToken);
    return successor;
  }

  /** The one generation that the database takes for live is this token. */
  async function assertHead(sessionId: string, refreshToken: string, generation: number) {
    const [head] = await sql<Head>(
      service.databaseUrl,
      'select refresh_generation, refresh_hash, ended_at from sessions where id = $1',
      [sessionId],
    );
    const keyring = testKeyring();
    const token = parseRefreshToken(keyring, refreshToken);
    assert.deepEqual([token?.sessionId, token?.generation], [sessionId, generation]);
    assert.deepEqual([head?.refresh_generation, head?.ended_at], [generation, null]);
    assert.ok(token && head?.refresh_hash.equals(refreshHash(keyring, token)));
  }

  it(`S05 has one lineage head after each of ${ROUNDS} races of ${RACERS} on two replicas`, async () => {
    const { sessionId, email, ...first } = await signedIn(service);
    let { refreshToken } = first;
    for (let round = 1; round <= ROUNDS; round += 1) {
      refreshToken = await race(refreshToken);
      await assertHead(sessionId, refreshToken, round);
    }
    const sessions = await sql(
      service.databaseUrl,
      'select from sessions s join accounts a on a.id = s.account_id where a.email = $1',
      [email],
    );
    assert.equal(sessions.length, 1);
  });

  it('S05 leaves nothing of a race once its successor is used: a loser ends the session', async () => {
    const first = await signedIn(service);
    const successor = await race(first.refreshToken);
    const results = await Promise.allSettled(
      Array.from({ length: RACERS }, (_, i) =>
        (i % 2 ? service : replica).auth.refreshToken({
          refreshToken: i % 4 < 2 ? first.refreshToken : successor,
        }),
      ),
    );
    const given = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value.tokens?.refreshToken ?? ''] : [],
    );
    const keyring = testKeyring();
    const heads = new Set(given.filter((token) => token !== successor));
    assert.ok(heads.size <= 1);
    for (const head of heads) assert.equal(parseRefreshToken(keyring, head)?.generation, 2);
    const [session] = await sql<{ end_cause: string }>(
      service.databaseUrl,
      'select end_cause from sessions where id = $1',
      [first.sessionId],
    );
    assert.equal(session?.end_cause, 'refresh_token_reused');
  });
});
