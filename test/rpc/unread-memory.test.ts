import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { AttackedService, METHOD } from './attacked-service.ts';
import { DATA, END_STREAM, frame, SETTINGS } from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';

const WATCH = '/grpc.health.v1.Health/Watch';
const STREAMS = 12_000;
const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);

describeBothPaths('memory held by answers that nobody reads', ({ env, fastPath }) => {
  const attacked = new AttackedService(env);

  async function ask(address: string, path: string, type: string, settings = Buffer.alloc(0)) {
    const raw = await attacked.connect(address);
    raw.write(frame(SETTINGS, 0, 0, settings));
    const request = type === 'application/json' ? Buffer.from('{}') : Buffer.alloc(5);
    for (let stream = 1; stream < 2 * STREAMS; stream += 2) {
      raw.call(stream, path, { 'content-type': type });
      raw.write(frame(DATA, END_STREAM, stream, request));
      if (stream % 401 === 0) await turn();
    }
  }

  for (const way of fastPath === 'on' ? [0, 1, 2] : [0]) {
    it(`W15 is bounded where thousands of streams give it no window (${way})`, async () => {
      const [address, type] = attacked.ways[way] ?? ['', ''];
      await ask(address, METHOD, type, NO_WINDOW);
      await attacked.staysSmall();
    });
  }

  if (fastPath === 'off') return;

  it('W15 is bounded where thousands of streams watch health', async () => {
    const [[address, type] = ['', '']] = attacked.ways;
    await ask(address, WATCH, type);
    await attacked.staysSmall();
  });
});
