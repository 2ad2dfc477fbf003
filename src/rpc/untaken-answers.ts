import type { ServerHttp2Stream } from 'node:http2';

const CHECKS = 10;

/** How much a stream had waiting when it was looked at last, and how often that was the same. */
type Seen = { bytes: number; times: number };

/**
 * Refuses streams whose callers take nothing of what is written for them (W02): an answer without a
 * window, or a status behind messages that nobody reads. One timer serves all streams. It checks a stream
 * several times before it refuses it: on a stream that moves, the same number of bytes may wait twice.
 */
export class UntakenAnswers {
  readonly #limitMs: number;
  readonly #refuse: (stream: ServerHttp2Stream) => void;
  readonly #streams = new Map<ServerHttp2Stream, Seen>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number, refuse: (stream: ServerHttp2Stream) => void) {
    this.#limitMs = limitMs;
    this.#refuse = refuse;
  }

  watch(stream: ServerHttp2Stream): void {
    this.#streams.set(stream, { bytes: 0, times: 0 });
    this.#timer ??= setInterval(() => this.#look(), this.#limitMs / CHECKS).unref();
  }

  leave(stream: ServerHttp2Stream): void {
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const [stream, seen] of this.#streams) {
      const bytes = stream.writableLength;
      seen.times = bytes > 0 && bytes === seen.bytes ? seen.times + 1 : 0;
      seen.bytes = bytes;
      if (seen.times >= CHECKS) this.#refuse(stream);
    }
  }
}
