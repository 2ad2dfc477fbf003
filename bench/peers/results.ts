import { readFileSync, writeFileSync } from 'node:fs';
import type { Work } from './peer.ts';

/** The measured peers, as they are kept in bench/peers/results.json. */
export type Results = {
  /** When and on what they were measured. */
  date: string;
  machine: string;
  rounds: number;
  seconds: number;
  versions: Record<string, string>;
  works: Partial<Record<Work, Measured[]>>;
  /** Resident memory (MiB) of each peer, 5 seconds after its start and after everything else. */
  memory: { name: string; idle: number; after: number }[];
  /** The p99 (ms) of token checks at 500 a second. */
  latency: Measured[];
};

/** The median of the rounds, and each of them. */
export type Measured = { name: string; value: number; rounds: number[] };

const PATH = 'bench/peers/results.json';

export function readResults(): Results {
  return JSON.parse(readFileSync(PATH, 'utf8'));
}

export function writeResults(results: Results): void {
  writeFileSync(PATH, `${JSON.stringify(results, null, 2)}\n`);
}
