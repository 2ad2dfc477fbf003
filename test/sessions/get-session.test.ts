import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { person, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { sessionsOf, withSessions } from './own-sessions.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('GetSession', () => {
  it("S10 returns the caller's own, and refuses another's like one that does not exist", async () => {
    const [own] = (await withSessions(service, 1)) as [Tokens];
    const [other] = (await withSessions(service, 1)) as [Tokens];
    const { session } = await sessionsOf(service, own).getSession({ sessionId: own.sessionId });
    assert.deepEqual([session?.sessionId, session?.current], [own.sessionId, true]);
    const theirs = await refusal(
      sessionsOf(service, own).getSession({ sessionId: other.sessionId }),
    );
    const none = await refusal(sessionsOf(service, own).getSession({ sessionId: UNKNOWN_ID }));
    assert.equal(theirs.code, Code.NotFound);
    assert.deepEqual({ ...theirs, requestId: '' }, { ...none, requestId: '' });
    const admin = await person(service, 'admin');
    assert.ok(
      (await sessionsOf(service, admin).getSession({ sessionId: other.sessionId })).session,
    );
  });

  it('S10 judges each of many that are asked for at once by itself', async () => {
    const [own, ended] = (await withSessions(service, 2)) as [Tokens, Tokens];
    const [other] = (await withSessions(service, 1)) as [Tokens];
    const admin = await person(service, 'admin');
    await sessionsOf(service, own).revokeSession({ sessionId: ended.sessionId });
    const asked = Array.from({ length: 60 }, (_, index) => {
      const who = [own, own, other, admin][index % 4] ?? own;
      const { sessionId } = [own, ended, own, other][index % 4] ?? own;
      const wanted = index % 4 === 0 || index % 4 === 3 ? sessionId : undefined;
      const call = sessionsOf(service, who).getSession({ sessionId });
      return {
        wanted,
        got: call.then(
          ({ session }) => session?.sessionId,
          (error) => error.code,
        ),
      };
    });
    for (const { wanted, got } of asked) assert.equal(await got, wanted ?? Code.NotFound);
  });
});
