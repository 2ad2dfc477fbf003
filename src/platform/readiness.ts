/** What a replica can do: all, only what it answers from memory, or nothing that anyone should ask it for. */
export type Serves = 'everything' | 'from memory' | 'nothing';

/** Something that the service needs, and how to find out whether it is available. */
export type Check = {
  name: string;
  /** What the replica still serves without it. */
  without: Serves;
  /** Returns the problem, or undefined if there is none. May throw, which is a problem too. */
  check(): Promise<string | undefined>;
};

export type Readiness = {
  status: 'ready' | 'degraded' | 'not ready';
  serves: Serves;
  checks: Record<string, string>;
};

/** Runs all checks at once. Never throws; names what is missing without quoting its errors. */
export async function readiness(checks: readonly Check[]): Promise<Readiness> {
  const results = await Promise.all(
    checks.map(async ({ name, without, check }) => {
      const problem = await check().catch(() => 'unavailable');
      return { name, without, problem };
    }),
  );
  const missing = results.filter(({ problem }) => problem !== undefined);
  const left = new Set(missing.map(({ without }) => without));
  const serves = left.has('nothing')
    ? 'nothing'
    : left.has('from memory')
      ? 'from memory'
      : 'everything';
  return {
    status: serves === 'nothing' ? 'not ready' : missing.length > 0 ? 'degraded' : 'ready',
    serves,
    checks: Object.fromEntries(results.map(({ name, problem }) => [name, problem ?? 'ok'])),
  };
}
