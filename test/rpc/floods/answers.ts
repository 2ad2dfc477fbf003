import { setImmediate as turn } from 'node:timers/promises';
import { DATA, END_STREAM, frame, SETTINGS } from '../frames.ts';
import { BY_GRPC_JS, type Flood, METHOD, NO_WINDOW, REFLECTION, strange, WATCH } from './flood.ts';

type Spread = { connections: number; streams: number };

/** Asks for a file, whose answer is long: `file_containing_symbol`. */
const ABOUT_ADMINS = request(4, 'countersign.v1.AdminService');

/** Answers that nobody takes, on one connection. */
export const ANSWERS_ON_ONE = answersOn({ connections: 1, streams: 12_000 }, [
  { path: METHOD, way: 0 },
  { path: REFLECTION, way: 0 },
  { path: WATCH, way: 0 },
]);
/** The same on many: neither is a way around the other's limit. */
export const ANSWERS_ON_MANY = answersOn({ connections: 60, streams: 200 }, [
  { path: METHOD, way: BY_GRPC_JS },
]);

/** `usual` are those that stand for the others in `npm test`. */
function answersOn(
  spread: Spread,
  usual: readonly { path: string; way: number }[],
): readonly Flood[] {
  const where = `(${spread.connections} × ${spread.streams})`;
  const unread = (title: string, path: string, way: number): Flood => ({
    title: `${title} ${where}`,
    attack: asks(path, spread, way),
    isSameByAllPaths: path !== METHOD || way === BY_GRPC_JS,
    isLikeAnother: !usual.some((each) => each.path === path && each.way === way),
  });
  return [
    ...[0, 1, 2].map((way) =>
      unread(`streams give their answers no window, way ${way}`, METHOD, way),
    ),
    unread('streams ask for descriptors and take none', REFLECTION, 0),
    unread('streams watch health', WATCH, 0),
  ];
}

function asks(path: string, { connections, streams }: Spread, way: number): Flood['attack'] {
  return async ({ ways, connect }) => {
    const [address, type] = ways[way] ?? ['', ''];
    const empty = type === 'application/json' ? Buffer.from('{}') : Buffer.alloc(5);
    const [message, flags] = path === REFLECTION ? [ABOUT_ADMINS, 0] : [empty, END_STREAM];
    for (let connection = 0; connection < connections; connection += 1) {
      const raw = await connect(address);
      if (path !== WATCH) raw.write(frame(SETTINGS, 0, 0, NO_WINDOW));
      for (let stream = 1; stream < 2 * streams; stream += 2) {
        raw.call(stream, path, strange(type));
        raw.write(frame(DATA, flags, stream, message));
        if (stream % 401 === 0) await turn();
      }
    }
  };
}

/** A message of one field, with its prefix. */
function request(field: number, text: string): Buffer {
  const message = Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
