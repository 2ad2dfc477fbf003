import assert from 'node:assert/strict';
import {
  type DescMessage,
  type DescMethodUnary,
  equals,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { Contestant } from '../report/row.ts';
import { type Cleanups, waitForOutput } from '../service/cleanups.ts';
import type { RunningService } from '../service/service.ts';
import { grpcLoad } from './h2load.ts';
import { ask, pathOf, type Question, questionBytes } from './question.ts';

const START_TIMEOUT_MS = 30_000;

/** Returns the service and a bare echo, which answer the same question with the same bytes. */
export async function againstEcho<I extends DescMessage, O extends DescMessage>(
  cleanups: Cleanups,
  { grpcAddress }: RunningService,
  question: Question<I, O>,
): Promise<[Contestant, Contestant]> {
  const answer = await ask(grpcAddress, question);
  const bytes = toBinary(question.method.output, answer);
  const echo = await startEcho(cleanups, question.method, bytes);
  const contestant = (name: string, address: string): Contestant => ({
    name,
    async check() {
      const got: MessageShape<O> = await ask(address, question);
      assert.ok(equals(question.method.output, got, answer), `${name} answers differently`);
    },
    perSecond: grpcLoad(cleanups, {
      address,
      path: pathOf(question.method),
      request: questionBytes(question),
      headers: question.headers ?? {},
      responseBytes: bytes.byteLength,
    }),
  });
  return [contestant('the service', grpcAddress), contestant('a bare grpc-js echo', echo)];
}

/** Starts a bare server that answers every call of a method with the same bytes. Returns its address. */
export async function startEcho(
  cleanups: Cleanups,
  method: DescMethodUnary,
  answer: Uint8Array,
): Promise<string> {
  const child = cleanups.process(
    process.execPath,
    ['bench/load/echo-server.ts', pathOf(method), Buffer.from(answer).toString('base64')],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const [, address = ''] = await waitForOutput(child, /ready on (\S+)\n/, START_TIMEOUT_MS);
  return address;
}
