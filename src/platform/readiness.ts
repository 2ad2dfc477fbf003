/** Something that the service needs, and how to find out whether it is available. */
export type Check = {
  name: string;
  /** Whether the service can't work without it. If not required, the service is only degraded. */
  required: boolean;
  /** Returns the problem, or undefined if there is none. May throw, which is a problem too. */
  check(): Promise<string | undefined>;
};

export type Readiness = {
  status: 'ready' | 'degraded' | 'not ready';
  checks: Record<string, string>;
};

/** Runs all checks at once. Never throws; names what is missing without quoting its errors. */
export async function readiness(checks: readonly Check[]): Promise<Readiness> {
  const results = await Promise.all(
    checks.map(async ({ name, required, check }) => {
      const problem = await check().catch(() => 'unavailable');
      return { name, required, problem };
    }),
  );
  const missing = results.filter(({ problem }) => problem !== undefined);
  return {
    status: missing.some(({ required }) => required)
      ? 'not ready'
      : missing.length > 0
        ? 'degraded'
        : 'ready',
    checks: Object.fromEntries(results.map(({ name, problem }) => [name, problem ?? 'ok'])),
  };
}
