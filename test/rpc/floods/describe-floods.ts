import { it } from 'node:test';
import { AttackedService } from '../attacked-service.ts';
import { describeBothPaths } from '../unary-paths.ts';
import type { Flood } from './flood.ts';

/**
 * Suites that flood services and hold them to their memory. Without `every`, only those that `isUsual`
 * returns come, and only to the fast path, which services have by default: each takes seconds.
 */
export function describeFloods(
  floods: readonly Flood[],
  {
    every,
    isUsual = ({ isLikeAnother }) => !isLikeAnother,
  }: { every: boolean; isUsual?: (flood: Flood) => boolean },
): void {
  describeBothPaths('a flood', ({ env, fastPath }) => {
    if (fastPath === 'off' && !every) return;
    const attacked = new AttackedService(env);
    for (const flood of floods) {
      if (fastPath === 'off' && flood.isSameByAllPaths) continue;
      if (!every && !isUsual(flood)) continue;
      it(`is bounded if ${flood.title}`, () => attacked.withstands(flood));
    }
  });
}
