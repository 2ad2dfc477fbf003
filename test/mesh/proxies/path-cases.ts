import assert from 'node:assert/strict';
import { it } from 'node:test';
import { bearer, exchange, type Setting } from './setting.ts';

/** What is between a route and another one, to those who read it in one way or the other. */
const BETWEEN = [
  '/../',
  '/./../',
  '/%2e%2e/',
  '/%2E./',
  '/..%2f',
  '%2f..%2f',
  '/..;/',
  '/..;a=b/',
  '/;/../',
  '//../',
  '/..%5c',
  '\\..\\',
  '/%252e%252e/',
  '/..//',
];
const PREFIXES = [
  '',
  '/',
  '/.',
  '/;',
  '/;a=b',
  '/%2f',
  '/x/..',
  '/x/%2e%2e',
  '/%2e',
  '/.;',
  '/x/..;',
];
/** Other spellings of the same name. */
const NAMES = [
  'orders',
  '%6frders',
  '%6Frders',
  'orders;a=b',
  'orders%2f',
  'orders%00',
  'orders/.',
  'orders%20',
];

/** As a server would read it that decodes, drops parameters, and resolves dots and double slashes. */
function leniently(path: string): string {
  const [bare = ''] = path.split('?');
  const text = bare.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const parts: string[] = [];
  for (const part of text.replaceAll('\\', '/').split('/')) {
    const [name = ''] = part.split(';');
    if (name === '..') parts.pop();
    else if (name !== '' && name !== '.') parts.push(name);
  }
  return `/${parts.join('/')}`;
}

const isBelow = (path: string, route: string) =>
  path === route || path.startsWith(`${route}/`) || path.startsWith(`${route}?`);

/** No spelling of a path gets past the rule of a route that the service behind the proxy reads in it. */
export function pathCases(setting: () => Setting): void {
  /** What the service gets of these paths, by someone who holds nothing. */
  const received = async (paths: string[], fields: [string, string][]) => {
    const found: string[] = [];
    for (const path of paths) {
      const got = await exchange(setting(), { path, fields });
      found.push(...got.received.map((each) => each.path));
    }
    return found;
  };

  it('M03 leads nobody past the scope of a route, however its path is spelled', async () => {
    const paths = [
      ...PREFIXES.flatMap((prefix) => NAMES.map((name) => `${prefix}/${name}`)),
      ...BETWEEN.flatMap((between) => [`/public${between}orders`, `/orders${between}public`]),
      ...BETWEEN.flatMap((between) => [`/x${between}orders/1`, `/orders${between}x`]),
      '/orders/..%2fpublic/../x',
      'http://other.test/orders',
      'http://other.test//orders',
    ];
    const got = await received(paths, [bearer(setting().pat)]);
    assert.deepEqual(
      got.filter((path) => isBelow(path, '/orders') || isBelow(leniently(path), '/orders')),
      [],
    );
  });

  it('M03 leads nobody past the credential by a path that is public to the proxy alone', async () => {
    const paths = BETWEEN.flatMap((between) => [
      `/public${between}x`,
      `/x${between}public`,
      `/public${between}public${between}`,
      `/public/x${between}`,
    ]);
    const more = [
      '/public',
      '/public/x',
      '/publicity',
      '//public',
      '/PUBLIC/../x',
      '/%70ublic/../x',
    ];
    const got = await received([...paths, ...more], []);
    assert.ok(got.length >= 2);
    const isPublic = (path: string) => isBelow(path.toLowerCase(), '/public');
    assert.deepEqual(
      got.filter((path) => !isPublic(path) || !isPublic(leniently(path))),
      [],
    );
  });
}
