import type { Client } from '@connectrpc/connect';
import type { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { type SigningKey, SigningKeyState } from '../../gen/countersign/v1/signing_key_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { withRoles } from '../administrators.ts';
import type { Service } from '../harness/service.ts';

/** A person who has just signed in to a replica and may look after the keys. */
export type Operator = Client<typeof AdminService> & { tokens: Tokens; userId: string };

export async function operator(service: Service): Promise<Operator> {
  const { admin, userId, ...tokens } = await withRoles(service, 'admin');
  return { ...admin, tokens, userId };
}

/** The keys that are in a state, as operators see them. */
export async function keysIn(
  admin: Client<typeof AdminService>,
  state: keyof typeof SigningKeyState,
): Promise<SigningKey[]> {
  const { signingKeys } = await admin.listSigningKeys({});
  return signingKeys.filter((key) => key.state === SigningKeyState[state]);
}

/** The only key in a state. */
export async function keyIn(
  admin: Client<typeof AdminService>,
  state: keyof typeof SigningKeyState,
): Promise<SigningKey> {
  const [key, ...more] = await keysIn(admin, state);
  if (!key || more.length > 0) throw new Error(`not one ${state} key`);
  return key;
}
