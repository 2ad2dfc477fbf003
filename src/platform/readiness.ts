/** What the service needs, and whether it is there. */
export type Check = {
  name: string;
  /** Whether the service can't do its work without it; otherwise it is degraded. */
  required: boolean;
  /** Throws, or gives a reason, where it is not. */
  check(): Promise<string | undefined>;
};

export type Readiness = {
  status: 'ready' | 'degraded' | 'not ready';
  checks: Record<string, string>;
};

/** Looks at everything at once. Never throws; names what is missing without quoting its errors. */
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
