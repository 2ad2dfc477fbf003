import { describe } from 'node:test';
import { EVERY_FLOOD as every } from '../harness/scale.ts';
import { describeFloods } from './floods/describe-floods.ts';
import { OVER_HTTP1 } from './floods/http1.ts';
import { REQUESTS } from './floods/requests.ts';

const floods = [...REQUESTS, ...OVER_HTTP1];
describe('W15 memory held by floods of requests without a credential', () =>
  describeFloods(floods, { every }));
