import assert from 'node:assert/strict';
import { getLoad } from '../load/h2load.ts';
import { startHttpEcho } from '../load/http-echo-process.ts';
import { Mint } from '../load/mint.ts';
import { PROXIED_HEADERS, REQUIRED_SCOPE } from '../load/proxied-request.ts';
import type { Contestant, Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

const PATH = `/verify?required_scopes=${REQUIRED_SCOPE}`;

/** What nginx, Caddy and Traefik ask about a request with an access token. */
export const verify: Row = {
  name: 'Verify',
  about:
    '/verify of one access token over HTTP/1.1, trusted proxy, against a bare node:http server',
  target: 0.5,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const mint = await Mint.of(service);
    const headers = {
      ...PROXIED_HEADERS,
      authorization: `Bearer ${await mint.administratorsToken()}`,
      'x-forwarded-host': 'shop.example',
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/orders?page=2',
    };
    const { host } = new URL(service.publicUrl);
    const answer = await answerOf(host, headers);
    const echo = await startHttpEcho(cleanups, answer);
    const contestant = (name: string, address: string): Contestant => ({
      name,
      async check() {
        const got = await answerOf(address, headers);
        assert.deepEqual({ ...got, ...ID }, { ...answer, ...ID }, `${name} answers differently`);
      },
      perSecond: getLoad(cleanups, { address, path: PATH, headers }),
    });
    return [contestant('the service', host), contestant('a bare node:http server', echo)];
  },
};

/** Another one for each answer. */
const ID = { 'x-request-id': '' };

/** The headers of an answer that let the request pass, without those that every server adds. */
async function answerOf(
  address: string,
  headers: Record<string, string>,
): Promise<Record<string, string>> {
  const response = await fetch(`http://${address}${PATH}`, { headers });
  assert.equal(response.status, 200, address);
  assert.equal(await response.text(), '');
  const { date, connection, 'keep-alive': _, ...own } = Object.fromEntries(response.headers);
  return own;
}
