import { hashPassword } from '../../src/passwords/password-hash.ts';

/** The password of everyone in the benchmarks. */
export const PASSWORD = 'correct horse battery staple';

/** The cheapest hashing that the service accepts, for rows that measure the rest of a sign-in. */
export const CHEAP_HASHING = {
  COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
  COUNTERSIGN_ARGON2_TIME_COST: '1',
};

/** Returns a hash of that password as a service with `CHEAP_HASHING` makes it. */
export function cheapHash(): Promise<string> {
  return hashPassword(PASSWORD, { memoryCost: 7168, timeCost: 1 });
}
