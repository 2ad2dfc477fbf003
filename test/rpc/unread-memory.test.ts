import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { AttackedService, METHOD, strange } from './attacked-service.ts';
import { DATA, END_STREAM, frame, SETTINGS } from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';

const WATCH = '/grpc.health.v1.Health/Watch';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** Asks for a file, whose answer is long: `file_containing_symbol`. */
const ABOUT_ADMINS = request(4, 'countersign.v1.AdminService');
/** On many connections as well as on one: neither is a way around the other's limit. */
const SPREADS = [
  { connections: 1, streams: 12_000 },
  { connections: 60, streams: 200 },
];
type Spread = (typeof SPREADS)[number];

const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);

describeBothPaths('memory held by answers that nobody reads', ({ env, fastPath }) => {
  const attacked = new AttackedService(env);

  async function ask(way: number, path: string, { connections, streams }: Spread) {
    const [address, type] = attacked.ways[way] ?? ['', ''];
    const empty = type === 'application/json' ? Buffer.from('{}') : Buffer.alloc(5);
    const [request, flags] = path === REFLECTION ? [ABOUT_ADMINS, 0] : [empty, END_STREAM];
    for (let connection = 0; connection < connections; connection += 1) {
      const raw = await attacked.connect(address);
      if (path !== WATCH) raw.write(frame(SETTINGS, 0, 0, NO_WINDOW));
      for (let stream = 1; stream < 2 * streams; stream += 2) {
        raw.call(stream, path, strange(type));
        raw.write(frame(DATA, flags, stream, request));
        if (stream % 401 === 0) await turn();
      }
    }
  }

  for (const spread of SPREADS) {
    const where = `${spread.connections} × ${spread.streams}`;
    for (const way of fastPath === 'on' ? [0, 1, 2] : [0]) {
      it(`W15 is bounded if streams give it no window (way ${way}, ${where})`, async () => {
        await ask(way, METHOD, spread);
        await attacked.staysSmall();
      });
    }

    if (fastPath === 'off') continue;

    it(`W15 is bounded if streams ask for descriptors and take none (${where})`, async () => {
      await ask(0, REFLECTION, spread);
      await attacked.staysSmall();
    });

    it(`W15 is bounded if streams watch health (${where})`, async () => {
      await ask(0, WATCH, spread);
      await attacked.staysSmall();
    });
  }
});

/** A message of one field, with its prefix. */
function request(field: number, text: string): Buffer {
  const message = Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
