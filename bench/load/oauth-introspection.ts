import assert from 'node:assert/strict';
import type { Contestant } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import type { RunningService } from '../service/service.ts';
import { startJsonEcho } from './connect-json.ts';
import { jsonLoad } from './h2load.ts';

const PATH = '/oauth2/introspect';

/** Returns the service and a bare echo, which answer the same question about a token (RFC 7662). */
export async function oauthIntrospection(
  cleanups: Cleanups,
  { publicUrl }: RunningService,
  token: string,
  credential: Readonly<Record<string, string>> = {},
): Promise<[Contestant, Contestant]> {
  const request = new URLSearchParams({ token, token_type_hint: 'access_token' }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...credential };
  const { host } = new URL(publicUrl);
  const answerOf = async (address: string) => {
    const init = { method: 'POST', headers, body: request };
    const response = await fetch(`http://${address}${PATH}`, init);
    assert.equal(response.status, 200, address);
    return response.text();
  };
  const answer = await answerOf(host);
  assert.equal(JSON.parse(answer).active, true);
  const echo = await startJsonEcho(cleanups, answer, 'form');
  const responseBytes = Buffer.byteLength(answer);
  const contestant = (name: string, address: string): Contestant => ({
    name,
    async check() {
      assert.equal(await answerOf(address), answer, name);
    },
    perSecond: jsonLoad(cleanups, { address, path: PATH, request, headers, responseBytes }),
  });
  return [contestant('the service', host), contestant('a bare node:http echo', echo)];
}
