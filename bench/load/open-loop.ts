import { connect, type Socket } from 'node:net';
import { framed } from './grpc-framing.ts';
import {
  ACK,
  CallHeaders,
  END_STREAM,
  FRAME,
  FrameReader,
  frame,
  PREFACE,
  windowUpdate,
} from './http2-frames.ts';
import { pacedLatencies } from './paced.ts';

const CONNECTIONS = 16;

/** A message of a method by gRPC, or a whole request by HTTP/1.1. `address` is `127.0.0.1:50051`. */
export type Target =
  | { door: 'gRPC'; address: string; path: string; request: Uint8Array }
  | { door: 'HTTP/1.1'; address: string; request: Uint8Array };

type Door = { send(done: () => void): void; close(): void };

/** Sends calls over a few connections at a steady pace. Returns how long each answer took (ms). */
export async function openLoop(
  target: Target,
  rate: { perSecond: number; seconds: number },
): Promise<number[]> {
  const failed = Promise.withResolvers<never>();
  const open = () =>
    target.door === 'gRPC' ? grpcDoor(target, failed.reject) : http1Door(target, failed.reject);
  const doors = Array.from({ length: CONNECTIONS }, open);
  let turn = 0;
  const call = () => {
    const answered = Promise.withResolvers<void>();
    doors[turn % CONNECTIONS]?.send(answered.resolve);
    turn += 1;
    return answered.promise;
  };
  try {
    return await Promise.race([pacedLatencies(call, rate), failed.promise]);
  } finally {
    for (const door of doors) door.close();
  }
}

function socketTo(address: string, fail: (error: Error) => void): Socket {
  const { hostname, port } = new URL(`http://${address}`);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  socket.on('error', fail);
  return socket;
}

/** Handles only the frames that it needs: see `varied-load.ts`. */
function grpcDoor(
  { address, path, request }: Extract<Target, { door: 'gRPC' }>,
  fail: (error: Error) => void,
): Door {
  const socket = socketTo(address, fail);
  const headers = new CallHeaders(address, path);
  const body = framed(request);
  const waiting = new Map<number, () => void>();
  const frames = new FrameReader();
  let stream = 1;
  socket.write(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, Buffer.alloc(0))]));
  socket.on('data', (chunk: Buffer) => {
    for (const { type, flags, stream, payload } of frames.read(chunk)) {
      const ends = (type === FRAME.data || type === FRAME.headers) && flags & END_STREAM;
      if (ends) waiting.get(stream)?.();
      if (type === FRAME.data && payload.length > 0) socket.write(windowUpdate(0, payload.length));
      if (type === FRAME.settings && !(flags & ACK)) {
        socket.write(frame(type, ACK, 0, Buffer.alloc(0)));
      } else if (type === FRAME.goAway || type === FRAME.rstStream) {
        fail(new Error(`the server sent a frame of type ${type}`));
      }
    }
  });
  return {
    send(done) {
      waiting.set(stream, done);
      const call = [headers.next(stream), frame(FRAME.data, END_STREAM, stream, body)];
      socket.write(Buffer.concat(call));
      stream += 2;
    },
    close: () => socket.destroy(),
  };
}

/** Requests of a connection follow each other without waiting; the server answers in their order. */
function http1Door({ address, request }: Target, fail: (error: Error) => void): Door {
  const socket = socketTo(address, fail);
  const waiting: (() => void)[] = [];
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (let end = endOfAnswer(text, fail); end > 0; end = endOfAnswer(text, fail)) {
      text = text.slice(end);
      waiting.shift()?.();
    }
  });
  return {
    send(done) {
      waiting.push(done);
      socket.write(request);
    },
    close: () => socket.destroy(),
  };
}

/** Returns the length of the first answer; 0 if it is not complete. */
function endOfAnswer(text: string, fail: (error: Error) => void): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  if (!text.startsWith('HTTP/1.1 200')) fail(new Error(text.slice(0, head)));
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1];
  if (length === undefined) {
    const end = text.indexOf('\r\n0\r\n\r\n', head);
    return end < 0 ? 0 : end + 7;
  }
  const end = head + 4 + Number(length);
  return text.length < end ? 0 : end;
}
