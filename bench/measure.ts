import { Cleanups } from './cleanups.ts';
import type { Contestant, Row, RowOptions } from './row.ts';

export type Plan = RowOptions & { rounds: number; seconds: number };

export type Result = {
  name: string;
  about: string;
  /** Medians of what each did per second, and all that they are the medians of. */
  ours: Figure;
  bare: Figure;
  /** The median of the rounds' ratios; each has the two figures of one round. */
  ratio: number;
  ratios: number[];
  target: number;
  met: boolean;
};

export type Figure = { name: string; perSecond: number; rounds: number[] };

/**
 * Measures a row: ours, bare, ours, bare … Each round's ratio is of two figures that follow each
 * other, so that what else the machine is doing disturbs both alike.
 */
export async function measure(row: Row, plan: Plan, progress: Progress): Promise<Result> {
  const cleanups = new Cleanups();
  const interrupted = () => void cleanups.run().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const [ours, bare] = await row.prepare(cleanups, plan);
    await checkBoth(ours, bare);
    const figures = await rounds(ours, bare, plan, progress);
    await checkBoth(ours, bare);
    return { ...summary(row, ...figures) };
  } finally {
    await cleanups.run();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

/** Told of each round when it has been measured. */
export type Progress = (round: number, ours: number, bare: number) => void;

async function checkBoth(ours: Contestant, bare: Contestant): Promise<void> {
  await ours.check();
  await bare.check();
}

async function rounds(
  ours: Contestant,
  bare: Contestant,
  plan: Plan,
  progress: Progress,
): Promise<[Figure, Figure]> {
  const measured: [number[], number[]] = [[], []];
  for (let round = 1; round <= plan.rounds; round += 1) {
    const a = await ours.perSecond(plan.seconds);
    const b = await bare.perSecond(plan.seconds);
    progress(round, a, b);
    measured[0].push(a);
    measured[1].push(b);
  }
  return [figure(ours, measured[0]), figure(bare, measured[1])];
}

function figure({ name }: Contestant, rounds: number[]): Figure {
  return { name, perSecond: median(rounds), rounds };
}

function summary({ name, about, target }: Row, ours: Figure, bare: Figure): Result {
  const ratios = ours.rounds.map((perSecond, round) => perSecond / (bare.rounds[round] ?? NaN));
  const ratio = median(ratios);
  return { name, about, ours, bare, ratio, ratios, target, met: ratio >= target };
}

/** The middle one of some numbers, or the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? NaN;
  const high = sorted[Math.floor(middle)] ?? NaN;
  return (low + high) / 2;
}
