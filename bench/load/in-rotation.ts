import { type DescMessage, toBinary } from '@bufbuild/protobuf';
import type { Contestant } from '../report/row.ts';
import { perSecond } from '../report/table.ts';
import type { RunningService } from '../service/service.ts';
import { framed } from './grpc-framing.ts';
import { ask, pathOf, type Question, questionBytes } from './question.ts';
import { sendVaried } from './varied-load.ts';

const WARM_UP_MS = 2000;

type Send = (next: () => Buffer | undefined) => Promise<{ perSecond: number }>;

/**
 * Returns the service with many questions in rotation, and with the first of them alone. All are asked
 * once before, and it prints how many a second were answered then.
 */
export async function inRotation<I extends DescMessage, O extends DescMessage>(
  { grpcAddress: address }: RunningService,
  credentials: string,
  questions: readonly Question<I, O>[],
): Promise<[many: Contestant, one: Contestant]> {
  const [first] = questions;
  if (!first) throw new Error('there is no question');
  const { method } = first;
  // All answers about valid credentials have the same length: only ids and times differ.
  const responseBytes = toBinary(method.output, await ask(address, first)).byteLength;
  const send: Send = (next) => sendVaried({ address, path: pathOf(method), next, responseBytes });
  const contestant = (name: string, asked: readonly Question<I, O>[]): Contestant => ({
    name,
    async check() {
      await ask(address, asked.at(-1) ?? first);
    },
    perSecond: rotating(send, asked.map(framedQuestion)),
  });
  const one = contestant('one of them', [first]);
  await one.perSecond(1);
  const unseen = questions.slice(1).map(framedQuestion).values();
  const cold = await send(() => unseen.next().value);
  process.stderr.write(`  first sight of each: ${perSecond(cold.perSecond)}/s\n`);
  return [contestant(`${questions.length.toLocaleString('en-US')} ${credentials}`, questions), one];
}

function rotating(send: Send, bodies: readonly Buffer[]): Contestant['perSecond'] {
  let turn = 0;
  const sendFor = (ms: number) => {
    const end = performance.now() + ms;
    return send(() => (performance.now() < end ? bodies[turn++ % bodies.length] : undefined));
  };
  return async (seconds) => {
    await sendFor(WARM_UP_MS);
    return (await sendFor(seconds * 1000)).perSecond;
  };
}

function framedQuestion<I extends DescMessage, O extends DescMessage>(question: Question<I, O>) {
  return framed(questionBytes(question));
}
