import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AccountService } from '../../../gen/countersign/v1/account_service_pb.ts';
import type { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import { IdentitySchema } from '../../../gen/countersign/v1/identity_pb.ts';
import type { BegunFlow } from '../../federation/begin-flow.ts';
import { finishFederatedLogin } from '../../federation/finish-federated-login.ts';
import { finishIdentityLink } from '../../federation/finish-identity-link.ts';
import type { Identity } from '../../federation/identity.entity.ts';
import { listIdentities } from '../../federation/list-identities.ts';
import { startFederatedLogin } from '../../federation/start-federated-login.ts';
import { startIdentityLink } from '../../federation/start-identity-link.ts';
import { unlinkIdentity } from '../../federation/unlink-identity.ts';
import { callerOf } from '../call.ts';
import { loginOutcome } from '../messages/login-outcome.ts';
import type { Dependencies } from './dependencies.ts';

/** The methods of AuthService that sign in with an identity provider. */
export function federatedLoginMethods(
  deps: Dependencies,
): Pick<
  ServiceImpl<typeof AuthService>,
  'listProviders' | 'startFederatedLogin' | 'finishFederatedLogin'
> {
  return {
    listProviders() {
      const shown = deps.providers.list().map(({ id, displayName, preset }) => {
        return { provider: id, displayName, preset };
      });
      return { providers: shown };
    },

    async startFederatedLogin(request, context) {
      return begunAnswer(await startFederatedLogin(deps, callerOf(context), request));
    },

    async finishFederatedLogin(request, context) {
      return {
        outcome: loginOutcome(await finishFederatedLogin(deps, callerOf(context), request)),
      };
    },
  };
}

/** The methods of AccountService that are about identities at providers. */
export function identityMethods(
  deps: Dependencies,
): Pick<
  ServiceImpl<typeof AccountService>,
  'listIdentities' | 'startIdentityLink' | 'finishIdentityLink' | 'unlinkIdentity'
> {
  return {
    async listIdentities(_request, context) {
      const identities = await listIdentities(deps, callerOf(context));
      return { identities: identities.map(identityMessage) };
    },

    async startIdentityLink(request, context) {
      return begunAnswer(await startIdentityLink(deps, callerOf(context), request));
    },

    async finishIdentityLink(request, context) {
      const identity = await finishIdentityLink(deps, callerOf(context), request);
      return { identity: identityMessage(identity) };
    },

    async unlinkIdentity({ identityId }, context) {
      await unlinkIdentity(deps, callerOf(context), identityId);
      return {};
    },
  };
}

function identityMessage(identity: Identity) {
  const { id, provider, issuer, subject, email, createdAt, lastUsedAt } = identity;
  return create(IdentitySchema, {
    identityId: id,
    provider,
    issuer,
    subject,
    email: email ?? '',
    createdAt: timestampFromDate(createdAt),
    ...(lastUsedAt ? { lastUsedAt: timestampFromDate(lastUsedAt) } : {}),
  });
}

function begunAnswer({ authorizationUrl, loginToken, expiresAt }: BegunFlow) {
  return { authorizationUrl, loginToken, expiresAt: timestampFromDate(expiresAt) };
}
