import type { Cleanups } from '../service/cleanups.ts';

/** One of the two things that a row compares. Both are measured by the same client. */
export type Contestant = {
  name: string;
  /** Throws if its answers are wrong. Called before the first and after the last measurement. */
  check(): Promise<void>;
  /** Works for a number of seconds. Returns how often the work was done per second. */
  perSecond(seconds: number): Promise<number>;
};

/** A row whose result is a ratio with a target. */
export type RateRow = {
  name: string;
  /** One sentence that says what is compared with what. */
  about: string;
  /** The ratio to reach. */
  target: number;
  /** Starts both contestants. Adds what has to be ended afterwards to `cleanups`. */
  prepare(cleanups: Cleanups, options: RowOptions): Promise<[ours: Contestant, bare: Contestant]>;
};

/** A row whose result is several figures of one measurement, which takes minutes. */
export type FigureRow = {
  name: string;
  /** One sentence that says what is measured. */
  about: string;
  /** Measures. Adds what has to be ended afterwards to `cleanups`. */
  figures(cleanups: Cleanups, options: RowOptions): Promise<Figure[]>;
};

export type Row = RateRow | FigureRow;

export type Figure = {
  name: string;
  value: number;
  unit: 'ms' | 'MiB' | '×';
  /** The target; undefined if the figure is only for information. */
  atMost?: number;
};

export type RowOptions = {
  /** The directory for the service's CPU profile; undefined for no profile. */
  profileDirectory: string | undefined;
  sizes: Sizes;
};

/** The sizes of the rows that take minutes. */
export type Sizes = {
  /** The revocations of `RevocationLatency`, with Redis and without. */
  revocations: number;
  /** The distinct tokens of `Memory`. */
  tokens: number;
  /** The seeded rows of `Growth`. */
  accounts: number;
  sessions: number;
};
