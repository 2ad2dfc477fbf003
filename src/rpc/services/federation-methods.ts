import type { ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import type { Dependencies } from './dependencies.ts';

/** The methods of AuthService that sign in with an identity provider. */
export function federatedLoginMethods({
  providers,
}: Dependencies): Pick<ServiceImpl<typeof AuthService>, 'listProviders'> {
  return {
    listProviders() {
      const shown = providers.list().map(({ id, displayName, preset }) => {
        return { provider: id, displayName, preset };
      });
      return { providers: shown };
    },
  };
}
