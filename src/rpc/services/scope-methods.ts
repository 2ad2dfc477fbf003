import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import {
  KeyScopeUseSchema,
  ScopeState,
  ShadowDenialSchema,
} from '../../../gen/countersign/v1/scope_use_pb.ts';
import { type KeyScopeUse, listScopeUse } from '../../mesh/list-scope-use.ts';
import { listShadowDenials } from '../../mesh/list-shadow-denials.ts';
import type { ShadowDenial } from '../../mesh/shadow-denial.entity.ts';
import { callerOf } from '../call.ts';
import { PRINCIPAL_TYPES } from '../messages/principal-message.ts';
import type { Dependencies } from './dependencies.ts';

/** The methods of AdminService about what scopes are needed for. */
export function scopeMethods(
  deps: Dependencies,
): Pick<ServiceImpl<typeof AdminService>, 'listScopeUse' | 'listShadowDenials'> {
  return {
    async listScopeUse(request, context) {
      const page = await listScopeUse(deps, callerOf(context), request);
      return { ...page, keys: page.keys.map(keyMessage) };
    },

    async listShadowDenials(request, context) {
      const page = await listShadowDenials(deps, callerOf(context), request);
      return { ...page, shadowDenials: page.shadowDenials.map(denialMessage) };
    },
  };
}

function keyMessage({ owner, observedSince, lastUsedAt, scopes, ...same }: KeyScopeUse) {
  return create(KeyScopeUseSchema, {
    ...same,
    owner: { type: PRINCIPAL_TYPES[owner.type], subject: owner.id },
    ...(observedSince && { observedSince: timestampFromDate(observedSince) }),
    ...(lastUsedAt && { lastUsedAt: timestampFromDate(lastUsedAt) }),
    scopes: scopes.map((use) => ({ ...use, state: ScopeState[use.state] })),
  });
}

function denialMessage({ count, firstAt, lastAt, ...denial }: ShadowDenial) {
  const { rule, reason, subject, apiKeyId } = denial;
  return create(ShadowDenialSchema, {
    rule,
    reason,
    subject,
    apiKeyId,
    count: BigInt(count),
    firstAt: timestampFromDate(firstAt),
    lastAt: timestampFromDate(lastAt),
  });
}
