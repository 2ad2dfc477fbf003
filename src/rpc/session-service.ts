import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { PrincipalSchema, PrincipalType } from '../../gen/countersign/v1/principal_pb.ts';
import {
  IntrospectionReason,
  type IntrospectTokenRequest,
  IntrospectTokenResponseSchema,
  type SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { type Introspection, introspectToken } from '../sessions/introspect-token.ts';
import type { Principal } from '../sessions/principal.ts';
import type { AccessTokenVerifier } from '../sessions/verify-access-token.ts';

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

function introspectionMessage(introspection: Introspection) {
  const message = create(IntrospectTokenResponseSchema);
  message.active = introspection.active;
  if (!introspection.active) message.reason = REASONS[introspection.reason];
  if ('principal' in introspection) {
    message.principal = principalMessage(introspection.principal);
    message.expiresAt = timestampFromMs(introspection.principal.expiresAt * 1000);
  }
  return message;
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
