import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  IntrospectionReason,
  type IntrospectTokenRequest,
  type IntrospectTokenResponse,
  IntrospectTokenResponseSchema,
  SessionSchema,
  type SessionService,
} from '../../../gen/countersign/v1/session_service_pb.ts';
import type { Caller } from '../../platform/caller.ts';
import { getSession } from '../../sessions/get-session.ts';
import { type Introspection, introspectToken } from '../../sessions/introspect-token.ts';
import { listSessions } from '../../sessions/list-sessions.ts';
import type { Principal } from '../../sessions/principal.ts';
import { revokeOtherSessions } from '../../sessions/revoke-other-sessions.ts';
import { revokeSession } from '../../sessions/revoke-session.ts';
import type { SessionView } from '../../sessions/session-view.repository.ts';
import { callerOf } from '../call.ts';
import { keepAnswer, keepAnswers } from '../messages/kept-answer.ts';
import { principalMessage } from '../messages/principal-message.ts';
import type { Dependencies } from './dependencies.ts';
import { watchRevocations } from './watch-revocations.ts';

export function sessionService(deps: Dependencies): ServiceImpl<typeof SessionService> {
  const { verifier, caches, scopeUse } = deps;
  const activeAnswer = keepAnswers(caches.answers, activeMessage);
  const introspect = async (request: IntrospectTokenRequest) => {
    const introspection = await introspectToken(verifier, request);
    if ('principal' in introspection) {
      scopeUse.noteRequired(introspection.principal, request.requiredScopes);
      scopeUse.noteRequired(introspection.principal, request.requiredPermissions);
    }
    return introspection.active
      ? activeAnswer(introspection.principal)
      : inactiveMessage(introspection);
  };
  return {
    async listSessions(request, context) {
      const caller = callerOf(context);
      const page = await listSessions(deps, caller, request);
      return { ...page, sessions: page.sessions.map((each) => sessionMessage(each, caller)) };
    },

    async getSession({ sessionId }, context) {
      const caller = callerOf(context);
      return { session: sessionMessage(await getSession(deps, caller, sessionId), caller) };
    },

    async revokeSession({ sessionId }, context) {
      await revokeSession(deps, callerOf(context), sessionId);
      return {};
    },

    async revokeOtherSessions(_request, context) {
      return { revokedCount: await revokeOtherSessions(deps, callerOf(context)) };
    },

    introspectToken: introspect,

    async batchIntrospectTokens({ requests }) {
      return { responses: await Promise.all(requests.map(introspect)) };
    },

    watchRevocations: watchRevocations(deps),
  };
}

function sessionMessage(session: SessionView, caller: Caller) {
  return create(SessionSchema, {
    ...session,
    createdAt: timestampFromDate(session.createdAt),
    lastUsedAt: timestampFromDate(session.lastUsedAt),
    expiresAt: timestampFromDate(session.expiresAt),
    current: session.sessionId === caller.sessionId,
  });
}

const REASONS = {
  INACTIVE: IntrospectionReason.INACTIVE,
  SCOPE_MISSING: IntrospectionReason.SCOPE_MISSING,
  PERMISSION_MISSING: IntrospectionReason.PERMISSION_MISSING,
} as const;

const INACTIVE = keepAnswer(create(IntrospectTokenResponseSchema, { reason: REASONS.INACTIVE }));

function inactiveMessage(
  introspection: Exclude<Introspection, { active: true }>,
): IntrospectTokenResponse {
  if (introspection.reason === 'INACTIVE') return INACTIVE;
  const message = principalAnswer(introspection.principal);
  message.reason = REASONS[introspection.reason];
  return message;
}

/** What is said of a token that suffices. */
function activeMessage(principal: Principal): IntrospectTokenResponse {
  const message = principalAnswer(principal);
  message.active = true;
  return message;
}

function principalAnswer(principal: Principal): IntrospectTokenResponse {
  const expiresAt = timestampFromMs(principal.expiresAt * 1000);
  return create(IntrospectTokenResponseSchema, {
    principal: principalMessage(principal),
    expiresAt,
  });
}
