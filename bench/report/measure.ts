import { Cleanups } from '../service/cleanups.ts';
import type { Contestant, Figure, FigureRow, RateRow, Row, RowOptions } from './row.ts';
import { median } from './statistics.ts';

export type Plan = RowOptions & { rounds: number; seconds: number };

export type Result = RateResult | FigureResult;

export type FigureResult = {
  name: string;
  about: string;
  /** `met` is undefined if there is no target. */
  figures: (Figure & { met?: boolean })[];
};

export type RateResult = {
  name: string;
  about: string;
  /** The median rate of each contestant, and the rate of each round. */
  ours: Rate;
  bare: Rate;
  /** The median of the rounds' ratios, and the ratio of each round. */
  ratio: number;
  ratios: number[];
  target: number;
  met: boolean;
};

type Rate = { name: string; perSecond: number; rounds: number[] };

/** Measures a row, and ends everything that was started, also if it is interrupted. */
export async function measure(row: Row, plan: Plan, progress: Progress): Promise<Result> {
  const cleanups = new Cleanups();
  const interrupted = () => void cleanups.run().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    return 'prepare' in row
      ? await compare(row, cleanups, plan, progress)
      : await findFigures(row, cleanups, plan);
  } finally {
    await cleanups.run();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

async function findFigures(row: FigureRow, cleanups: Cleanups, plan: Plan): Promise<FigureResult> {
  const figures = await row.figures(cleanups, plan);
  const judged = figures.map((figure) =>
    figure.atMost === undefined ? figure : { ...figure, met: figure.value <= figure.atMost },
  );
  return { name: row.name, about: row.about, figures: judged };
}

/**
 * Compares in turn: ours, bare, ours, bare … A round's ratio is that of two consecutive measurements,
 * so that other work on the machine disturbs both alike.
 */
async function compare(
  row: RateRow,
  cleanups: Cleanups,
  plan: Plan,
  progress: Progress,
): Promise<RateResult> {
  const [ours, bare] = await row.prepare(cleanups, plan);
  await checkBoth(ours, bare);
  const rates = await rounds(ours, bare, plan, progress);
  await checkBoth(ours, bare);
  return summary(row, ...rates);
}

/** Called after each round. */
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
): Promise<[Rate, Rate]> {
  const measured: [number[], number[]] = [[], []];
  for (let round = 1; round <= plan.rounds; round += 1) {
    const a = await ours.perSecond(plan.seconds);
    const b = await bare.perSecond(plan.seconds);
    progress(round, a, b);
    measured[0].push(a);
    measured[1].push(b);
  }
  return [rate(ours, measured[0]), rate(bare, measured[1])];
}

function rate({ name }: Contestant, rounds: number[]): Rate {
  return { name, perSecond: median(rounds), rounds };
}

function summary({ name, about, target }: RateRow, ours: Rate, bare: Rate): RateResult {
  const ratios = ours.rounds.map((perSecond, round) => perSecond / (bare.rounds[round] ?? NaN));
  const ratio = median(ratios);
  return { name, about, ours, bare, ratio, ratios, target, met: ratio >= target };
}
