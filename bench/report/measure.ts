import { Cleanups } from '../service/cleanups.ts';
import { median } from './percentile.ts';
import type { Contestant, Figure, FigureRow, RateRow, Row, RowOptions } from './row.ts';

export type Plan = RowOptions & { rounds: number; seconds: number };

export type Result = RateResult | FigureResult;

export type FigureResult = {
  name: string;
  about: string;
  /** `met` is undefined where nothing is promised. */
  figures: (Figure & { met?: boolean })[];
};

export type RateResult = {
  name: string;
  about: string;
  /** Medians of what each did per second, and all that they are the medians of. */
  ours: Rate;
  bare: Rate;
  /** The median of the rounds' ratios; each has the two figures of one round. */
  ratio: number;
  ratios: number[];
  target: number;
  met: boolean;
};

type Rate = { name: string; perSecond: number; rounds: number[] };

/** Measures a row, and ends what that has started, also when it is interrupted. */
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
 * Ours, bare, ours, bare … Each round's ratio is of two figures that follow each other, so that what
 * else the machine is doing disturbs both alike.
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
