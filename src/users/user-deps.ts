import type { RevokeKeysDeps } from '../api-keys/revoke-keys.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { EndSessionsDeps } from '../sessions/end-sessions.ts';

export type UserDeps = NoticeDeps & EndSessionsDeps & RevokeKeysDeps & { database: SqlDatabase };

/** What whoever changes users has to hold. */
export const USERS_WRITE = 'users.write';
