import type { NoticeDeps } from '../accounts/notices.ts';
import type { RevokeKeysDeps } from '../api-keys/revoke-keys.ts';
import type { Database } from '../platform/database.ts';
import type { EndSessionsDeps } from '../sessions/end-sessions.ts';

export type UserDeps = NoticeDeps & EndSessionsDeps & RevokeKeysDeps & { database: Database };

/** What whoever changes users has to hold. */
export const USERS_WRITE = 'users.write';
