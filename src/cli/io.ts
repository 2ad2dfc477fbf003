import type { App } from '../app.ts';
import type { Config, Environment, ReadFile } from '../config.ts';

/** What the command touches outside itself. */
export type Io = {
  env: Environment;
  readFile: ReadFile;
  out: (text: string) => void;
  err: (text: string) => void;
  /** Writes to standard output, and resolves when there is room for more. */
  write: (text: string) => Promise<void>;
  /** Whether someone is watching standard error. */
  isTerminal: boolean;
  /** Runs `app` until it is told to stop, and then stops it. */
  keepRunning: (app: App, config: Config) => Promise<void>;
};

/** From sysexits.h, as far as service managers and scripts tell them apart. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** The command was not called as its usage says. */
  usage: 64,
  /** The input is wrong. */
  badData: 65,
  /** The input is missing. */
  noInput: 66,
  /** The database, or another dependency, is unavailable. */
  unavailable: 69,
  /** The service is busy: try again later. */
  tryAgain: 75,
  /** The configuration is wrong. */
  config: 78,
} as const;

export function print(to: (text: string) => void, text: string, code: number): number {
  to(text);
  return code;
}
