import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import {
  ServiceAccountSchema,
  ServiceAccountState,
} from '../../../gen/countersign/v1/service_account_pb.ts';
import { createServiceAccount } from '../../service-accounts/create-service-account.ts';
import { deleteServiceAccount } from '../../service-accounts/delete-service-account.ts';
import { getServiceAccount } from '../../service-accounts/get-service-account.ts';
import { listServiceAccounts } from '../../service-accounts/list-service-accounts.ts';
import type { ServiceAccount } from '../../service-accounts/service-account.entity.ts';
import { callerOf } from '../call.ts';
import type { Dependencies } from './dependencies.ts';

type ServiceAccountMethods =
  | 'createServiceAccount'
  | 'getServiceAccount'
  | 'listServiceAccounts'
  | 'deleteServiceAccount';

/** The methods of AdminService for service accounts. */
export function serviceAccountMethods(
  deps: Dependencies,
): Pick<ServiceImpl<typeof AdminService>, ServiceAccountMethods> {
  return {
    async createServiceAccount(request, context) {
      const created = await createServiceAccount(deps, callerOf(context), request);
      return { serviceAccount: serviceAccountMessage(created) };
    },

    async getServiceAccount({ serviceAccountId }, context) {
      const found = await getServiceAccount(deps, callerOf(context), serviceAccountId);
      return { serviceAccount: serviceAccountMessage(found) };
    },

    async listServiceAccounts(request, context) {
      const page = await listServiceAccounts(deps, callerOf(context), request);
      return { ...page, serviceAccounts: page.serviceAccounts.map(serviceAccountMessage) };
    },

    async deleteServiceAccount({ serviceAccountId }, context) {
      await deleteServiceAccount(deps, callerOf(context), serviceAccountId);
      return {};
    },
  };
}

const STATES = {
  active: ServiceAccountState.ACTIVE,
  suspended: ServiceAccountState.SUSPENDED,
  deleted: ServiceAccountState.DELETED,
} as const;

function serviceAccountMessage(account: ServiceAccount) {
  const { id, displayName, description, roles, state, createdAt, updatedAt } = account;
  return create(ServiceAccountSchema, {
    serviceAccountId: id,
    displayName,
    description,
    roles,
    state: STATES[state],
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
  });
}
