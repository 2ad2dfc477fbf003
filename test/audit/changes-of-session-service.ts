import type { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { signIn } from '../harness/people.ts';
import { type Call, type Changes, person } from './changes.ts';

/** What each method of SessionService leaves in the trail. */
export const changesOfSessionService: Changes<typeof SessionService> = {
  listSessions: 'reads',
  getSession: 'reads',
  async revokeSession(service) {
    const { email, sessions } = await person(service);
    const { sessionId } = await signIn(service, email);
    const other = await person(service);
    const call: Call = (options) => sessions.revokeSession({ sessionId }, options);
    return {
      done: [[call, 'session.ended'], [call]],
      refused: [[(options) => other.sessions.revokeSession({ sessionId }, options)]],
    };
  },
  async revokeOtherSessions(service) {
    const { email, sessions } = await person(service);
    await signIn(service, email);
    await signIn(service, email);
    const call: Call = (options) => sessions.revokeOtherSessions({}, options);
    return { done: [[call, 'sessions.ended'], [call]] };
  },
  introspectToken: 'reads',
  batchIntrospectTokens: 'reads',
  watchRevocations: 'reads',
};
