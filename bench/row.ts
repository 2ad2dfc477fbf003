import type { Cleanups } from './cleanups.ts';

/** One of the two things that a row compares. Both are measured by the same client. */
export type Contestant = {
  name: string;
  /** Throws where the answers are wrong. Asked before the first and after the last measurement. */
  check(): Promise<void>;
  /** Works for so many seconds and gives how many times a second the work was done. */
  perSecond(seconds: number): Promise<number>;
};

/** A line of the result: a ratio, and what it should be. */
export type Row = {
  name: string;
  /** What is compared with what, in a sentence. */
  about: string;
  /** The ratio that is promised. */
  target: number;
  /** Starts both contestants. What has to be ended afterwards goes into `cleanups`. */
  prepare(cleanups: Cleanups, options: RowOptions): Promise<[ours: Contestant, bare: Contestant]>;
};

export type RowOptions = {
  /** Where the service writes a CPU profile when it ends; undefined: it writes none. */
  profileDirectory: string | undefined;
};
