import type { Cleanups } from '../service/cleanups.ts';

/** One of the two things that a row compares. Both are measured by the same client. */
export type Contestant = {
  name: string;
  /** Throws where the answers are wrong. Asked before the first and after the last measurement. */
  check(): Promise<void>;
  /** Works for so many seconds and gives how many times a second the work was done. */
  perSecond(seconds: number): Promise<number>;
};

/** A line of the result: a ratio, and what it should be. */
export type RateRow = {
  name: string;
  /** What is compared with what, in a sentence. */
  about: string;
  /** The ratio that is promised. */
  target: number;
  /** Starts both contestants. What has to be ended afterwards goes into `cleanups`. */
  prepare(cleanups: Cleanups, options: RowOptions): Promise<[ours: Contestant, bare: Contestant]>;
};

/** Several lines of the result: figures of one measurement, which takes minutes. */
export type FigureRow = {
  name: string;
  /** What is measured, in a sentence. */
  about: string;
  /** Measures. What has to be ended afterwards goes into `cleanups`. */
  figures(cleanups: Cleanups, options: RowOptions): Promise<Figure[]>;
};

export type Row = RateRow | FigureRow;

export type Figure = {
  name: string;
  value: number;
  unit: 'ms' | 'MiB' | '×';
  /** What is promised; undefined: it is said for information. */
  atMost?: number;
};

export type RowOptions = {
  /** Where the service writes a CPU profile when it ends; undefined: it writes none. */
  profileDirectory: string | undefined;
  sizes: Sizes;
};

/** How much the rows that take minutes do. */
export type Sizes = {
  /** Of `RevocationLatency`, with Redis and without. */
  revocations: number;
  /** Of `Memory`. */
  tokens: number;
  /** Of `Growth`. */
  accounts: number;
  sessions: number;
};
