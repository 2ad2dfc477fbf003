import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import {
  IntrospectionReason,
  type IntrospectTokenRequest,
  type IntrospectTokenResponse,
  IntrospectTokenResponseSchema,
  SessionSchema,
  type SessionService,
} from '../../../gen/countersign/v1/session_service_pb.ts';
import type { RevocationWatchDeps } from '../../revocations/revocation-watcher.ts';
import { getSession } from '../../sessions/get-session.ts';
import { type Introspection, introspectToken } from '../../sessions/introspect-token.ts';
import { type ListSessionsDeps, listSessions } from '../../sessions/list-sessions.ts';
import type { Principal } from '../../sessions/principal.ts';
import { revokeOtherSessions } from '../../sessions/revoke-other-sessions.ts';
import { type RevokeSessionDeps, revokeSession } from '../../sessions/revoke-session.ts';
import type { SessionReader, SessionView } from '../../sessions/session-view.ts';
import type { AccessTokenVerifier } from '../../sessions/verify-access-token.ts';
import { callerOf, callOf } from '../call.ts';
import { requirePrincipal } from '../interceptors/access.ts';
import { keepAnswer, keepAnswers } from '../messages/kept-answer.ts';
import { principalMessage } from '../messages/principal-message.ts';
import { ownOf } from './own.ts';
import { watchRevocations } from './watch-revocations.ts';

export type SessionServiceDeps = ListSessionsDeps &
  RevokeSessionDeps &
  RevocationWatchDeps & { verifier: AccessTokenVerifier };

export function sessionService(deps: SessionServiceDeps): ServiceImpl<typeof SessionService> {
  const { verifier } = deps;
  const introspect = async (request: IntrospectTokenRequest) =>
    introspectionMessage(await introspectToken(verifier, request));
  return {
    async listSessions(request, context) {
      const reader = readerOf(context);
      const page = await listSessions(deps, callerOf(context), reader, request);
      return { ...page, sessions: page.sessions.map((each) => sessionMessage(each, reader)) };
    },

    async getSession({ sessionId }, context) {
      const reader = readerOf(context);
      const session = await getSession(deps, callerOf(context), reader, sessionId);
      return { session: sessionMessage(session, reader) };
    },

    async revokeSession({ sessionId }, context) {
      await revokeSession(deps, callerOf(context), readerOf(context), sessionId);
      return {};
    },

    async revokeOtherSessions(_request, context) {
      const reader = readerOf(context);
      return { revokedCount: await revokeOtherSessions(deps, callerOf(context), reader) };
    },

    introspectToken: introspect,

    async batchIntrospectTokens({ requests }) {
      return { responses: await Promise.all(requests.map(introspect)) };
    },

    watchRevocations: watchRevocations(deps),
  };
}

function readerOf(context: HandlerContext): SessionReader {
  const { permissions } = requirePrincipal(callOf(context.values));
  return { ...ownOf(context), permissions };
}

function sessionMessage(session: SessionView, reader: SessionReader) {
  return create(SessionSchema, {
    ...session,
    createdAt: timestampFromDate(session.createdAt),
    lastUsedAt: timestampFromDate(session.lastUsedAt),
    expiresAt: timestampFromDate(session.expiresAt),
    current: session.sessionId === reader.sessionId,
  });
}

const REASONS = {
  INACTIVE: IntrospectionReason.INACTIVE,
  SCOPE_MISSING: IntrospectionReason.SCOPE_MISSING,
  PERMISSION_MISSING: IntrospectionReason.PERMISSION_MISSING,
} as const;

const INACTIVE = keepAnswer(
  IntrospectTokenResponseSchema,
  create(IntrospectTokenResponseSchema, { reason: REASONS.INACTIVE }),
);

function introspectionMessage(introspection: Introspection): IntrospectTokenResponse {
  if (introspection.active) return activeAnswer(introspection.principal);
  if (introspection.reason === 'INACTIVE') return INACTIVE;
  const message = principalAnswer(introspection.principal);
  message.reason = REASONS[introspection.reason];
  return message;
}

/** What is said of a token that suffices. */
const activeAnswer = keepAnswers(IntrospectTokenResponseSchema, (principal) => {
  const message = principalAnswer(principal);
  message.active = true;
  return message;
});

function principalAnswer(principal: Principal): IntrospectTokenResponse {
  const expiresAt = timestampFromMs(principal.expiresAt * 1000);
  return create(IntrospectTokenResponseSchema, {
    principal: principalMessage(principal),
    expiresAt,
  });
}
