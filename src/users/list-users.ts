import { readUsers, type User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { PageRequest } from '../platform/page.ts';
import { pagePosition, pageToken } from '../platform/page-token.ts';
import type { Database } from '../unit-of-work/database.ts';
import { ORDERS, type Order, type Place } from './user-order.ts';
import { type Filter, searchUsers } from './user-search.ts';

const DEFAULT_PAGE_SIZE = 50;
const DEFAULT_ORDER = 'created_at desc';

export type ListUsers = Filter &
  PageRequest & {
    /** A name of `ORDERS`, with or without `asc` or `desc`. Empty: newest first. */
    orderBy: string;
  };

/**
 * Lists a page of the users that match a filter (A06). It looks at a bounded number of rows, whatever
 * is searched for, so that a page may be short and still have a next one.
 *
 * Throws `INVALID_REQUEST` for an unknown order and for a page token of another query.
 */
export async function listUsers(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: ListUsers,
): Promise<{ users: User[]; nextPageToken: string }> {
  const { query, state, role } = request;
  const order = orderOf(request.orderBy);
  const name = ['users', query, state ?? '', role, order.by, order.descending ? 'desc' : 'asc'];
  const position = pagePosition(keyring, name, request.pageToken);
  const after = position === undefined ? undefined : (JSON.parse(position) as Place);
  const limit = request.pageSize || DEFAULT_PAGE_SIZE;
  return database.read(caller, async (em, now) => {
    const { ids, next } = await searchUsers(em, { query, state, role }, { order, after, limit });
    const users = ids.length === 0 ? [] : await readUsers(em, ids, now);
    const nextPageToken = next
      ? pageToken(keyring, name, JSON.stringify({ place: next.place, id: next.id }))
      : '';
    return { users, nextPageToken };
  });
}

function orderOf(orderBy: string): Order {
  const match = /^ *(\w+)(?: +(asc|desc))? *$/.exec(orderBy || DEFAULT_ORDER);
  const by = match?.[1] ?? '';
  if (!Object.hasOwn(ORDERS, by)) {
    const names = Object.keys(ORDERS).join(', ');
    throw invalidField('order_by', `is not one of ${names}, with or without asc or desc`);
  }
  return { by: by as Order['by'], descending: match?.[2] === 'desc' };
}
