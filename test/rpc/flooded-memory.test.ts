import { it } from 'node:test';
import { AttackedService } from './attacked-service.ts';
import { REQUESTS } from './floods/requests.ts';
import { describeBothPaths } from './unary-paths.ts';

describeBothPaths('memory held by floods of requests without a credential', ({ env, fastPath }) => {
  const attacked = new AttackedService(env);

  for (const flood of REQUESTS) {
    if (fastPath === 'off' && flood.isSameByAllPaths) continue;
    it(`W15 is bounded if ${flood.title}`, () => attacked.withstands(flood));
  }
});
