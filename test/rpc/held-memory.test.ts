import { it } from 'node:test';
import { AttackedService } from './attacked-service.ts';
import { BEGUN } from './floods/requests.ts';
import { describeBothPaths } from './unary-paths.ts';

describeBothPaths(
  'memory held by requests that are begun without a credential',
  ({ env, fastPath }) => {
    const attacked = new AttackedService(env);

    for (const flood of BEGUN) {
      if (fastPath === 'off' && flood.isSameByAllPaths) continue;
      it(`W15 is bounded if ${flood.title}`, () => attacked.withstands(flood));
    }
  },
);
