import { it } from 'node:test';
import { AttackedService } from './attacked-service.ts';
import { ANSWERS_ON_MANY } from './floods/answers.ts';
import { describeBothPaths } from './unary-paths.ts';

describeBothPaths(
  'memory held by answers on many connections that nobody reads',
  ({ env, fastPath }) => {
    const attacked = new AttackedService(env);

    for (const flood of ANSWERS_ON_MANY) {
      if (fastPath === 'off' && flood.isSameByAllPaths) continue;
      it(`W15 is bounded if ${flood.title}`, () => attacked.withstands(flood));
    }
  },
);
