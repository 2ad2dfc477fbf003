import { it } from 'node:test';
import { EVERY_FLOOD } from '../harness/scale.ts';
import { AttackedService } from './attacked-service.ts';
import { COMPRESSED, KINDS } from './floods/compressed.ts';
import { describeBothPaths } from './unary-paths.ts';

describeBothPaths(
  'memory held by compressed requests without a credential',
  ({ env, fastPath }) => {
    const attacked = new AttackedService(env);

    for (const flood of COMPRESSED) {
      if (fastPath === 'off' && flood.isSameByAllPaths) continue;
      if (!EVERY_FLOOD && !KINDS.some((kind) => flood.title.startsWith(kind))) continue;
      it(`W15 is bounded if ${flood.title}`, () => attacked.withstands(flood));
    }
  },
);
