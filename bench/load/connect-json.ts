import assert from 'node:assert/strict';
import {
  create,
  type DescMethodUnary,
  type MessageInitShape,
  toJsonString,
} from '@bufbuild/protobuf';
import type { Contestant } from '../report/row.ts';
import { type Cleanups, waitForOutput } from '../service/cleanups.ts';
import type { RunningService } from '../service/service.ts';
import { jsonLoad } from './h2load.ts';
import { pathOf } from './question.ts';

const START_TIMEOUT_MS = 30_000;

/** Returns the service and a bare echo, which answer the same call by Connect with the same JSON. */
export async function connectJson<M extends DescMethodUnary>(
  cleanups: Cleanups,
  { publicUrl }: RunningService,
  method: M,
  message: MessageInitShape<M['input']>,
): Promise<[Contestant, Contestant]> {
  const path = pathOf(method);
  const request = toJsonString(method.input, create(method.input, message));
  const { host } = new URL(publicUrl);
  const answer = await post(`http://${host}${path}`, request);
  const echo = await startJsonEcho(cleanups, answer);
  const contestant = (name: string, address: string): Contestant => ({
    name,
    async check() {
      assert.equal(await post(`http://${address}${path}`, request), answer, name);
    },
    perSecond: jsonLoad(cleanups, {
      address,
      path,
      request,
      responseBytes: Buffer.byteLength(answer),
    }),
  });
  return [contestant('the service', host), contestant('a bare node:http echo', echo)];
}

/** Starts a bare server that answers every request with the same JSON. Returns its address. */
export async function startJsonEcho(
  cleanups: Cleanups,
  answer: string,
  bodies: 'json' | 'form' = 'json',
): Promise<string> {
  const args = ['bench/load/json-echo.ts', answer, bodies];
  const child = cleanups.process(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const [, address = ''] = await waitForOutput(child, /ready on (\S+)\n/, START_TIMEOUT_MS);
  return address;
}

async function post(url: string, body: string): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body });
  assert.equal(response.status, 200, url);
  return response.text();
}
