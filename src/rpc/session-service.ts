import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { PrincipalSchema, PrincipalType } from '../../gen/countersign/v1/principal_pb.ts';
import {
  IntrospectionReason,
  type IntrospectTokenRequest,
  type IntrospectTokenResponse,
  IntrospectTokenResponseSchema,
  type SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { type Introspection, introspectToken } from '../sessions/introspect-token.ts';
import type { Principal } from '../sessions/principal.ts';
import type { AccessTokenVerifier } from '../sessions/verify-access-token.ts';
import { keepAnswer } from './kept-answer.ts';

export type SessionServiceDeps = { verifier: AccessTokenVerifier };

export function sessionService({
  verifier,
}: SessionServiceDeps): ServiceImpl<typeof SessionService> {
  const introspect = async (request: IntrospectTokenRequest) =>
    introspectionMessage(await introspectToken(verifier, request));
  return {
    introspectToken: introspect,

    async batchIntrospectTokens({ requests }) {
      return { responses: await Promise.all(requests.map(introspect)) };
    },
  };
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

/** What is said of a token that suffices: it stays the same for as long as the token is known. */
const active = new WeakMap<Principal, IntrospectTokenResponse>();

function introspectionMessage(introspection: Introspection): IntrospectTokenResponse {
  if (introspection.active) return activeAnswer(introspection.principal);
  if (introspection.reason === 'INACTIVE') return INACTIVE;
  const message = principalAnswer(introspection.principal);
  message.reason = REASONS[introspection.reason];
  return message;
}

function activeAnswer(principal: Principal): IntrospectTokenResponse {
  const known = active.get(principal);
  if (known) return known;
  const message = principalAnswer(principal);
  message.active = true;
  active.set(principal, keepAnswer(IntrospectTokenResponseSchema, message));
  return message;
}

function principalAnswer(principal: Principal): IntrospectTokenResponse {
  const expiresAt = timestampFromMs(principal.expiresAt * 1000);
  return create(IntrospectTokenResponseSchema, {
    principal: principalMessage(principal),
    expiresAt,
  });
}

const TYPES = {
  user: PrincipalType.USER,
  service_account: PrincipalType.SERVICE_ACCOUNT,
} as const;

function principalMessage(principal: Principal) {
  return create(PrincipalSchema, {
    type: TYPES[principal.type],
    subject: principal.subject,
    sessionId: principal.sessionId,
    emailVerified: principal.emailVerified,
    roles: [...principal.roles],
    permissions: [...principal.permissions],
    scopes: [...principal.scopes],
    amr: [...principal.amr],
    authTime: timestampFromMs(principal.authTime * 1000),
  });
}
