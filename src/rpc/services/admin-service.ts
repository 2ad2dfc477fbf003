import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import type { Dependencies } from './dependencies.ts';
import { roleMethods } from './role-methods.ts';
import { scopeMethods } from './scope-methods.ts';
import { serviceAccountMethods } from './service-account-methods.ts';
import { signingKeyMethods } from './signing-key-methods.ts';
import { transferMethods } from './transfer-methods.ts';
import { userMethods } from './user-methods.ts';

export function adminService(deps: Dependencies): ServiceImpl<typeof AdminService> {
  return {
    ...userMethods(deps),
    ...roleMethods(deps),
    ...serviceAccountMethods(deps),
    ...scopeMethods(deps),
    ...signingKeyMethods(deps),
    ...transferMethods(deps),
  };
}
