import { it } from 'node:test';
import { AttackedService } from './attacked-service.ts';
import { COMPRESSED } from './floods/compressed.ts';
import { describeBothPaths } from './unary-paths.ts';

describeBothPaths(
  'memory held by compressed requests without a credential',
  ({ env, fastPath }) => {
    const attacked = new AttackedService(env);

    for (const flood of COMPRESSED) {
      if (fastPath === 'off' && flood.isSameByAllPaths) continue;
      it(`W15 is bounded if ${flood.title}`, () => attacked.withstands(flood));
    }
  },
);
