import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import type { BegunFlow } from '../../federation/begin-flow.ts';
import { finishFederatedLogin } from '../../federation/finish-federated-login.ts';
import { startFederatedLogin } from '../../federation/start-federated-login.ts';
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

function begunAnswer({ authorizationUrl, loginToken, expiresAt }: BegunFlow) {
  return { authorizationUrl, loginToken, expiresAt: timestampFromDate(expiresAt) };
}
