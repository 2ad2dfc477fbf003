import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  ActorSchema,
  type Principal as PrincipalMessage,
  PrincipalSchema,
  PrincipalType,
} from '../../../gen/countersign/v1/principal_pb.ts';
import type { Principal } from '../../sessions/principal.ts';

export const PRINCIPAL_TYPES = {
  user: PrincipalType.USER,
  service_account: PrincipalType.SERVICE_ACCOUNT,
} as const;

/** A principal as the API shows it. */
export function principalMessage(principal: Principal): PrincipalMessage {
  return create(PrincipalSchema, {
    type: PRINCIPAL_TYPES[principal.type],
    subject: principal.subject,
    sessionId: principal.sessionId,
    apiKeyId: principal.apiKeyId,
    emailVerified: principal.emailVerified,
    roles: [...principal.roles],
    permissions: [...principal.permissions],
    scopes: [...principal.scopes],
    amr: [...principal.amr],
    identityProvider: principal.idp,
    actors: principal.actors.map(({ subject, type, apiKeyId }) =>
      create(ActorSchema, { subject, type: PRINCIPAL_TYPES[type], apiKeyId }),
    ),
    ...(principal.sessionId !== '' && { authTime: timestampFromMs(principal.authTime * 1000) }),
  });
}
