import { type DestinationStream, levels, pino, symbols } from 'pino';

export const INFO = levels.values['info'] ?? 0;

/** A destination of lines. `lastLevel` is the level of the line that is being written. */
export type Output = DestinationStream & { lastLevel?: number };

/**
 * Writes the lines of one turn of the event loop together: a separate write costs more than making the
 * line. A line above `info` does not wait: it may be the last before a crash.
 */
export class StandardOutput implements DestinationStream {
  readonly [symbols.needsMetadataGsym] = true;
  /** The level of the line that is being written; pino sets it. */
  lastLevel = INFO;
  readonly #output = pino.destination({ dest: 1, sync: false });
  #lines = '';

  write(line: string): void {
    if (this.#lines === '') setImmediate(this.#flush);
    this.#lines += line;
    if (this.lastLevel > INFO) this.#flush();
  }

  readonly #flush = (): void => {
    if (this.#lines === '') return;
    this.#output.write(this.#lines);
    this.#lines = '';
  };
}

let lastMs = 0;
let lastTime = '';

/** Returns the time as a pino field. It is made once for all lines of a millisecond. */
export function isoTime(): string {
  const now = Date.now();
  if (now !== lastMs) {
    lastMs = now;
    lastTime = `,"time":"${new Date(now).toISOString()}"`;
  }
  return lastTime;
}
