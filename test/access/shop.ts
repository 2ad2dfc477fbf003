import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { RoleSchema } from '../../gen/countersign/v1/role_pb.ts';
import { type Administrator, adminClient, withRoles } from '../administrators.ts';
import { type Service, type StartOptions, startService } from '../harness/service.ts';

/** A service whose operator has a shop with its own permissions, and an administrator who holds them. */
export async function startShop(
  options: StartOptions = {},
): Promise<{ service: Service; boss: Administrator }> {
  const service = await startService(options);
  const first = await withRoles(service, 'user', 'admin');
  for (const name of ['orders.read', 'orders.write']) {
    await first.admin.createPermission({ permission: { name, description: 'Of the shop.' } });
  }
  // The administrator's token was issued before there were these.
  return { service, boss: await refreshed(service, first) };
}

export async function refreshed(service: Service, who: Administrator): Promise<Administrator> {
  const { tokens } = await service.auth.refreshToken({ refreshToken: who.refreshToken });
  if (!tokens) throw new Error('no tokens');
  return { ...who, ...tokens, admin: adminClient(service, tokens) };
}

let names = 0;

/** Returns the name of a new role. */
export async function newRole(boss: Administrator, ...permissions: string[]): Promise<string> {
  names += 1;
  const name = `clerk-${names}`;
  await boss.admin.createRole({ role: create(RoleSchema, { name, permissions }) });
  return name;
}

export function updateRole(by: Administrator, values: object, paths: string[] = []) {
  return by.admin.updateRole({
    role: create(RoleSchema, values),
    updateMask: create(FieldMaskSchema, { paths }),
  });
}

/** What a replica says that a token permits; undefined if it does not accept the token. */
export async function permissionsAt(at: Service, token: string): Promise<string[] | undefined> {
  const { active, principal } = await at.sessions.introspectToken({ token });
  return active ? principal?.permissions : undefined;
}

/** A user as the holder of a role. */
export const user = (value: string) => ({ case: 'userId' as const, value });
