import { it } from 'node:test';
import { AttackedService } from './attacked-service.ts';
import { OVER_HTTP1 } from './floods/http1.ts';
import { REQUESTS } from './floods/requests.ts';
import { describeBothPaths } from './unary-paths.ts';

describeBothPaths('memory held by floods of requests without a credential', ({ env, fastPath }) => {
  const attacked = new AttackedService(env);

  for (const flood of [...REQUESTS, ...OVER_HTTP1]) {
    if (fastPath === 'off' && flood.isSameByAllPaths) continue;
    it(`W15 is bounded if ${flood.title}`, () => attacked.withstands(flood));
  }
});
