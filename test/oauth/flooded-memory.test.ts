import { describe } from 'node:test';
import { EVERY_FLOOD as every } from '../harness/scale.ts';
import { describeFloods } from '../rpc/floods/describe-floods.ts';
import { isUsualOauth as isUsual, OAUTH } from '../rpc/floods/oauth.ts';

describe('W15 memory held by floods of the OAuth endpoints', () =>
  describeFloods(OAUTH, { every, isUsual }));
