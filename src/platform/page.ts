import type { Keyring } from './crypto.ts';
import { pagePosition, pageToken } from './page-token.ts';

const DEFAULT_SIZE = 50;

/** The page of a list that a request asks for (AIP-158). Each proto's validation rules cap the size. */
export type PageRequest = {
  /** 0 for the default, 50. */
  pageSize: number;
  /** Empty for the first page. */
  pageToken: string;
};

/** Some items of a list, and the token of the next page; empty on the last page. */
export type Page<T> = { items: T[]; nextPageToken: string };

/**
 * Reads one page of a list, by the position after which it begins: every page costs the same. `query` is
 * everything that the request asks for apart from the page: a token is valid only in the query that it
 * came from. `find` reads up to `limit` items, one more than a page holds, which shows whether there is
 * another page.
 *
 * Throws `INVALID_REQUEST` for a page token of another query.
 */
export async function readPage<T>(
  keyring: Keyring,
  query: readonly string[],
  request: PageRequest,
  find: (after: string | undefined, limit: number) => Promise<T[]>,
  positionOf: (item: T) => string,
): Promise<Page<T>> {
  const after = pagePosition(keyring, query, request.pageToken);
  const size = request.pageSize || DEFAULT_SIZE;
  const found = await find(after, size + 1);
  const items = found.slice(0, size);
  const last = items.at(-1);
  const hasMore = found.length > size && last !== undefined;
  return { items, nextPageToken: hasMore ? pageToken(keyring, query, positionOf(last)) : '' };
}
