import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type {
  AdminService,
  GrantRoleRequest,
} from '../../../gen/countersign/v1/admin_service_pb.ts';
import { PermissionSchema, type Role, RoleSchema } from '../../../gen/countersign/v1/role_pb.ts';
import { createPermission } from '../../access/create-permission.ts';
import { createRole, type NewRole } from '../../access/create-role.ts';
import { deletePermission } from '../../access/delete-permission.ts';
import { deleteRole } from '../../access/delete-role.ts';
import { grantRole } from '../../access/grant-role.ts';
import { listPermissions, listRoles } from '../../access/list-roles.ts';
import type { Permission } from '../../access/permission.entity.ts';
import { revokeRole } from '../../access/revoke-role.ts';
import type { HolderName } from '../../access/role-holder.ts';
import type { RoleView } from '../../access/role-view.ts';
import { updateRole } from '../../access/update-role.ts';
import { callerOf } from '../call.ts';
import type { Dependencies } from './dependencies.ts';

type RoleMethods =
  | 'listRoles'
  | 'createRole'
  | 'updateRole'
  | 'deleteRole'
  | 'grantRole'
  | 'revokeRole'
  | 'listPermissions'
  | 'createPermission'
  | 'deletePermission';

/** The methods of AdminService for roles and permissions. */
export function roleMethods(
  deps: Dependencies,
): Pick<ServiceImpl<typeof AdminService>, RoleMethods> {
  return {
    async listRoles(_request, context) {
      return { roles: (await listRoles(deps, callerOf(context))).map(roleMessage) };
    },

    async createRole({ role }, context) {
      const created = await createRole(deps, callerOf(context), valuesOf(role));
      return { role: roleMessage(created) };
    },

    async updateRole({ role, updateMask }, context) {
      const mask = updateMask?.paths ?? [];
      const update = { ...valuesOf(role), etag: role?.etag ?? '', mask };
      const updated = await updateRole(deps, callerOf(context), update);
      return { role: roleMessage(updated) };
    },

    async deleteRole({ name }, context) {
      await deleteRole(deps, callerOf(context), name);
      return {};
    },

    async grantRole({ holder, role }, context) {
      const request = { holder: holderName(holder), role };
      return { roles: await grantRole(deps, callerOf(context), request) };
    },

    async revokeRole({ holder, role }, context) {
      const request = { holder: holderName(holder), role };
      return { roles: await revokeRole(deps, callerOf(context), request) };
    },

    async listPermissions(_request, context) {
      const permissions = await listPermissions(deps, callerOf(context));
      return { permissions: permissions.map(permissionMessage) };
    },

    async createPermission({ permission }, context) {
      const { name = '', description = '' } = permission ?? {};
      const wanted = { name, description };
      const created = await createPermission(deps, callerOf(context), wanted);
      return { permission: permissionMessage(created) };
    },

    async deletePermission({ name }, context) {
      await deletePermission(deps, callerOf(context), name);
      return {};
    },
  };
}

function valuesOf(role: Role | undefined): NewRole {
  const { name = '', description = '', permissions = [] } = role ?? {};
  return { name, description, permissions };
}

const KINDS = { userId: 'user', serviceAccountId: 'service_account' } as const;

/** The holder that a request names; the validation rules refuse a request without one. */
function holderName({ case: kind, value }: GrantRoleRequest['holder']): HolderName {
  return { kind: KINDS[kind ?? 'userId'], id: value ?? '' };
}

function roleMessage({ createdAt, updatedAt, ...role }: RoleView): Role {
  return create(RoleSchema, {
    ...role,
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
  });
}

function permissionMessage({ name, description, builtIn, createdAt }: Permission) {
  const at = timestampFromDate(createdAt);
  return create(PermissionSchema, { name, description, builtIn, createdAt: at });
}
