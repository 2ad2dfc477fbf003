/** Something that is done and measured: `prepare` comes first, and does not count. Returns its time. */
export type Measured = { prepare?: () => Promise<unknown>; measure: () => Promise<number> };

/** One call. */
export function single(call: () => Promise<unknown>): () => Promise<number> {
  return async () => {
    const from = performance.now();
    await call().catch(() => {});
    return performance.now() - from;
  };
}

/** So many calls at once, of which the mean time counts. */
export function burst(calls: number, call: () => Promise<unknown>): () => Promise<number> {
  return async () => {
    const times = await Promise.all(Array.from({ length: calls }, single(call)));
    return times.reduce((sum, time) => sum + time, 0) / calls;
  };
}

/**
 * The chance that something of one kind takes longer than something of the other: 0.5 tells nothing.
 * So many pairs are measured, some of them at once.
 */
export async function distinguishability(
  one: Measured,
  other: Measured,
  { pairs, atOnce }: { pairs: number; atOnce: number },
): Promise<number> {
  const [ones, others]: [number[], number[]] = [[], []];
  const time = async ({ prepare, measure }: Measured) => {
    await prepare?.();
    return measure();
  };
  let begun = 0;
  const work = async () => {
    while (begun < pairs) {
      begun += 1;
      // In random order, so that neither kind always follows the other.
      const isFirst = Math.random() < 0.5;
      (isFirst ? ones : others).push(await time(isFirst ? one : other));
      (isFirst ? others : ones).push(await time(isFirst ? other : one));
    }
  };
  for (let i = 0; i < 3; i += 1) await Promise.all([time(one), time(other)]);
  await Promise.all(Array.from({ length: atOnce }, work));
  let longer = 0;
  for (const a of ones) for (const b of others) longer += a > b ? 1 : a === b ? 0.5 : 0;
  return longer / (ones.length * others.length);
}
