import { describe } from 'node:test';
import { EVERY_FLOOD as every } from '../harness/scale.ts';
import { describeFloods } from './floods/describe-floods.ts';
import { BEGUN } from './floods/requests.ts';

describe('W15 memory held by requests that are begun without a credential', () =>
  describeFloods(BEGUN, { every }));
