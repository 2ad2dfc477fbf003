import { equalInConstantTime, type Keyring } from './crypto.ts';
import type { Failure } from './failure.ts';
import { invalidField } from './invalid-field.ts';

const PURPOSE = 'page-token';
const TAG_BYTES = 16;
const FORMAT = /^(\d{1,3})\.([\w-]*)\.([\w-]{22})$/;

/**
 * Returns a page token (AIP-158): the position where the next page of a query begins, authenticated.
 * `query` is everything else that the request asked for: the token is valid in no other query.
 */
export function pageToken(keyring: Keyring, query: readonly string[], position: string): string {
  const version = keyring.current;
  const encoded = Buffer.from(position).toString('base64url');
  return `${version}.${encoded}.${tag(keyring, query, position, version).toString('base64url')}`;
}

/**
 * Returns the position in a page token, or undefined for the first page. Throws `INVALID_REQUEST` for a
 * token of another query.
 */
export function pagePosition(
  keyring: Keyring,
  query: readonly string[],
  token: string,
): string | undefined {
  if (token === '') return undefined;
  const [, versionText = '', encoded = '', tagText = ''] = FORMAT.exec(token) ?? [];
  const version = Number(versionText);
  if (!keyring.has(version)) throw foreignToken();
  const position = Buffer.from(encoded, 'base64url').toString();
  const expected = tag(keyring, query, position, version);
  if (!equalInConstantTime(expected, Buffer.from(tagText, 'base64url'))) throw foreignToken();
  return position;
}

function tag(keyring: Keyring, query: readonly string[], position: string, version: number) {
  const data = JSON.stringify([...query, position]);
  return keyring.mac(PURPOSE, data, version).subarray(0, TAG_BYTES);
}

function foreignToken(): Failure {
  return invalidField(
    'page_token',
    'was not returned by this query; start again from the first page',
  );
}
