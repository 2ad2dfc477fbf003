import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import { SigningKeySchema, SigningKeyState } from '../../../gen/countersign/v1/signing_key_pb.ts';
import { listSigningKeys } from '../../signing-keys/list-signing-keys.ts';
import { revokeSigningKey } from '../../signing-keys/revoke-signing-key.ts';
import { rotateSigningKey } from '../../signing-keys/rotate-signing-key.ts';
import type { SigningKeyView } from '../../signing-keys/signing-key-view.ts';
import { callerOf } from '../call.ts';
import type { Dependencies } from './dependencies.ts';

/** The methods of AdminService for signing keys. */
export function signingKeyMethods(
  deps: Dependencies,
): Pick<
  ServiceImpl<typeof AdminService>,
  'listSigningKeys' | 'rotateSigningKey' | 'revokeSigningKey'
> {
  return {
    async listSigningKeys(_request, context) {
      const keys = await listSigningKeys(deps, callerOf(context));
      return { signingKeys: keys.map(signingKeyMessage) };
    },

    async rotateSigningKey({ activeKeyId, force }, context) {
      const rotation = { activeKeyId, force };
      const { activeKey, nextKey, rotated } = await rotateSigningKey(
        deps,
        callerOf(context),
        rotation,
      );
      return {
        activeKey: signingKeyMessage(activeKey),
        nextKey: signingKeyMessage(nextKey),
        rotated,
      };
    },

    async revokeSigningKey({ keyId, reason }, context) {
      const revocation = { keyId, reason };
      const { revokedKey, activeKey } = await revokeSigningKey(deps, callerOf(context), revocation);
      return {
        revokedKey: signingKeyMessage(revokedKey),
        activeKey: signingKeyMessage(activeKey),
      };
    },
  };
}

const STATES = {
  next: SigningKeyState.NEXT,
  active: SigningKeyState.ACTIVE,
  retired: SigningKeyState.RETIRED,
  revoked: SigningKeyState.REVOKED,
} as const;

function signingKeyMessage(key: SigningKeyView) {
  const { keyId, algorithm, state, publicJwk, createdAt, revocationReason = '' } = key;
  return create(SigningKeySchema, {
    keyId,
    algorithm,
    state: STATES[state],
    publicJwkJson: JSON.stringify(publicJwk),
    createdAt: timestampFromDate(createdAt),
    ...times(key),
    revocationReason,
  });
}

type Moment = 'readyAt' | 'activatedAt' | 'retiredAt' | 'leavesJwksAt' | 'revokedAt';

function times(key: SigningKeyView): { [name in Moment]?: Timestamp } {
  const { readyAt, activatedAt, retiredAt, leavesJwksAt, revokedAt } = key;
  const moments = Object.entries({ readyAt, activatedAt, retiredAt, leavesJwksAt, revokedAt });
  return Object.fromEntries(
    moments.flatMap(([name, at]) => (at ? [[name, timestampFromDate(at)]] : [])),
  );
}
