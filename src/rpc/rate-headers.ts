/** How much of a limit its caller has used. */
export type RateStatus = Readonly<{
  policy: string;
  /** Calls in a number of seconds. */
  limit: number;
  seconds: number;
  remaining: number;
  resetsInMs: number;
}>;

/**
 * The headers that tell callers of the limits that count their call
 * (draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy` what they are, `RateLimit` what is left.
 */
export function rateHeaders(limits: readonly RateStatus[]): [name: string, value: string][] {
  if (limits.length === 0) return [];
  const policies = limits.map(
    ({ policy, limit, seconds }) => `"${policy}";q=${limit};w=${seconds}`,
  );
  const left = limits.map(
    ({ policy, remaining, resetsInMs }) =>
      `"${policy}";r=${remaining};t=${Math.ceil(resetsInMs / 1000)}`,
  );
  return [
    ['ratelimit-policy', policies.join(', ')],
    ['ratelimit', left.join(', ')],
  ];
}
