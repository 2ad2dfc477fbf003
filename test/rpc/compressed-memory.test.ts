import { describe } from 'node:test';
import { EVERY_FLOOD as every } from '../harness/scale.ts';
import { COMPRESSED, KINDS } from './floods/compressed.ts';
import { describeFloods } from './floods/describe-floods.ts';
import type { Flood } from './floods/flood.ts';

const isUsual = ({ title }: Flood) => KINDS.some((kind) => title.startsWith(kind));
describe('W15 memory held by compressed requests without a credential', () =>
  describeFloods(COMPRESSED, { every, isUsual }));
