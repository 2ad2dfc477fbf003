import { readUsers, type User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { pagePosition, pageToken } from '../platform/page-token.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type Filter, ORDERS, type Order, type Place, searchUsers } from './user-search.ts';

const DEFAULT_PAGE_SIZE = 50;
const DEFAULT_ORDER = 'created_at desc';

export type ListUsersDeps = { database: SqlDatabase; clock: Clock; keyring: Keyring };

export type ListUsers = Filter & {
  /** Empty: the newest first. */
  orderBy: string;
  /** 0: the default. */
  pageSize: number;
  pageToken: string;
};

/**
 * A page of the users that a filter leaves (A06). It costs the same wherever it is, and no more than a
 * bounded look at the table, whatever is searched for.
 *
 * Throws `INVALID_REQUEST` for another order than those listed, and a page token of another query.
 */
export async function listUsers(
  deps: ListUsersDeps,
  caller: Caller,
  request: ListUsers,
): Promise<{ users: User[]; nextPageToken: string }> {
  const { query, state, role } = request;
  const order = orderOf(request.orderBy);
  const name = ['users', query, state ?? '', role, order.by, order.descending ? 'desc' : 'asc'];
  const position = pagePosition(deps.keyring, name, request.pageToken);
  const after = position === undefined ? undefined : (JSON.parse(position) as Place);
  const limit = request.pageSize || DEFAULT_PAGE_SIZE;
  return deps.database.read(async (em) => {
    const { ids, next } = await searchUsers(em, { query, state, role }, order, after, limit);
    const users = ids.length === 0 ? [] : await readUsers(em, ids, deps.clock.now());
    const nextPageToken = next
      ? pageToken(deps.keyring, name, JSON.stringify({ place: next.place, id: next.id }))
      : '';
    return { users, nextPageToken };
  }, caller.signal);
}

function orderOf(orderBy: string): Order {
  const match = /^ *(\w+)(?: +(asc|desc))? *$/.exec(orderBy || DEFAULT_ORDER);
  const by = match?.[1] ?? '';
  if (!Object.hasOwn(ORDERS, by)) {
    const description = `is none of ${Object.keys(ORDERS).join(', ')}, each with or without asc or desc`;
    throw new Failure('invalid', 'INVALID_REQUEST', `the order ${description}`, {
      fields: [{ path: 'order_by', description }],
    });
  }
  return { by: by as Order['by'], descending: match?.[2] === 'desc' };
}
