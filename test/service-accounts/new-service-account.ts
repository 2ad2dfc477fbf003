import type { Administrator } from '../administrators.ts';

/** Creates a service account. Returns its id. */
export async function newServiceAccount(
  { admin }: Administrator,
  displayName = 'Robot',
): Promise<string> {
  const { serviceAccount } = await admin.createServiceAccount({ displayName });
  if (!serviceAccount) throw new Error('no service account');
  return serviceAccount.serviceAccountId;
}
