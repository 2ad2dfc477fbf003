import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Hold } from './caller-connection.ts';

/** A property of the request: a `WeakMap` would cost every call more. */
const HOLD = Symbol('hold');

type Request = IncomingMessage | ServerHttp2Stream;
type Held = Request & { [HOLD]?: Hold };

export function keepHold(request: Request, hold: Hold): void {
  (request as Held)[HOLD] = hold;
}

/** What is counted for a request, if it is guarded. */
export function holdOf(request: Request): Hold | undefined {
  return (request as Held)[HOLD];
}
