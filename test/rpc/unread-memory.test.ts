import { describe } from 'node:test';
import { EVERY_FLOOD as every } from '../harness/scale.ts';
import { ANSWERS_ON_ONE } from './floods/answers.ts';
import { describeFloods } from './floods/describe-floods.ts';

describe('W15 memory held by answers on one connection that nobody reads', () =>
  describeFloods(ANSWERS_ON_ONE, { every }));
