import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import { type RoleMethodsDeps, roleMethods } from './role-methods.ts';
import {
  type ServiceAccountMethodsDeps,
  serviceAccountMethods,
} from './service-account-methods.ts';
import { type SigningKeyMethodsDeps, signingKeyMethods } from './signing-key-methods.ts';
import { type TransferMethodsDeps, transferMethods } from './transfer-methods.ts';
import { type UserMethodsDeps, userMethods } from './user-methods.ts';

export type AdminServiceDeps = UserMethodsDeps &
  RoleMethodsDeps &
  ServiceAccountMethodsDeps &
  SigningKeyMethodsDeps &
  TransferMethodsDeps;

export function adminService(deps: AdminServiceDeps): ServiceImpl<typeof AdminService> {
  return {
    ...userMethods(deps),
    ...roleMethods(deps),
    ...serviceAccountMethods(deps),
    ...signingKeyMethods(deps),
    ...transferMethods(deps),
  };
}
