import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AccountService } from '../../../gen/countersign/v1/account_service_pb.ts';
import type { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import { PasskeySchema } from '../../../gen/countersign/v1/passkey_pb.ts';
import { finishPasskeyLogin } from '../../login/finish-passkey-login.ts';
import { beginPasskeyLogin } from '../../passkeys/begin-passkey-login.ts';
import {
  beginPasskeyRegistration,
  type PasskeyOptions,
} from '../../passkeys/begin-passkey-registration.ts';
import { deletePasskey } from '../../passkeys/delete-passkey.ts';
import { finishPasskeyRegistration } from '../../passkeys/finish-passkey-registration.ts';
import { listPasskeys } from '../../passkeys/list-passkeys.ts';
import type { Passkey } from '../../passkeys/passkey.entity.ts';
import { renamePasskey } from '../../passkeys/rename-passkey.ts';
import { callerOf } from '../call.ts';
import { tokensMessage } from '../messages/tokens-message.ts';
import type { Dependencies } from './dependencies.ts';

/** The methods of AccountService that are about passkeys. */
export function passkeyMethods(
  deps: Dependencies,
): Pick<
  ServiceImpl<typeof AccountService>,
  | 'beginPasskeyRegistration'
  | 'finishPasskeyRegistration'
  | 'listPasskeys'
  | 'renamePasskey'
  | 'deletePasskey'
> {
  return {
    async beginPasskeyRegistration(_request, context) {
      return optionsAnswer(await beginPasskeyRegistration(deps, callerOf(context)));
    },

    async finishPasskeyRegistration(request, context) {
      const added = await finishPasskeyRegistration(deps, callerOf(context), request);
      return { passkey: passkeyMessage(added) };
    },

    async listPasskeys(_request, context) {
      const passkeys = await listPasskeys(deps, callerOf(context));
      return { passkeys: passkeys.map(passkeyMessage) };
    },

    async renamePasskey(request, context) {
      const renamed = await renamePasskey(deps, callerOf(context), request);
      return { passkey: passkeyMessage(renamed) };
    },

    async deletePasskey({ passkeyId }, context) {
      await deletePasskey(deps, callerOf(context), passkeyId);
      return {};
    },
  };
}

/** The methods of AuthService that sign in by passkey. */
export function passkeyLoginMethods(
  deps: Dependencies,
): Pick<ServiceImpl<typeof AuthService>, 'beginPasskeyLogin' | 'finishPasskeyLogin'> {
  return {
    async beginPasskeyLogin({ challengeToken }, context) {
      return optionsAnswer(await beginPasskeyLogin(deps, callerOf(context), challengeToken));
    },

    async finishPasskeyLogin(request, context) {
      const tokens = await finishPasskeyLogin(deps, callerOf(context), request);
      return { tokens: tokensMessage(tokens) };
    },
  };
}

function optionsAnswer({ optionsJson, expiresAt }: PasskeyOptions) {
  return { optionsJson, expiresAt: timestampFromDate(expiresAt) };
}

function passkeyMessage(passkey: Passkey) {
  const { id, displayName, synced, createdAt, lastUsedAt } = passkey;
  return create(PasskeySchema, {
    passkeyId: id,
    displayName,
    synced,
    createdAt: timestampFromDate(createdAt),
    ...(lastUsedAt ? { lastUsedAt: timestampFromDate(lastUsedAt) } : {}),
  });
}
