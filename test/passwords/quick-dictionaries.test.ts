import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';
import * as english from '@zxcvbn-ts/language-en';
import { lookUpQuickly } from '../../src/passwords/quick-dictionaries.ts';

const PIECES =
  'correct horse battery staple password dragon Monkey letmein qwerty summer 2024 p4ssw0rd Tr0ub4dor &3 the thirteen john smith İstanbul straße 1234 aaaa eniltrebmit 密码 one two'.split(
    ' ',
  );
const OWN_WORDS = ['maxi.oberhuber@example.com', 'oberhuber', 'maxi'];
const SAMPLES = 300;

/** Longer in lower case than zxcvbn takes them to be. */
const GROWING = ['\u0130zqvxk', '\u0130vxqzjkwpfhcmbtrlgdnsyvkqzwxjpfmbhc'];

describe('Looking words up quickly', () => {
  it('changes no estimate', () => {
    const options = {
      dictionary: { ...common.dictionary, ...english.dictionary },
      graphs: common.adjacencyGraphs,
      translations: english.translations,
      l33tMaxSubstitutions: 8,
    };
    const [slow, quick] = [new ZxcvbnFactory(options), new ZxcvbnFactory(options)];
    const growing = GROWING.map((word) => word.toLowerCase());
    const passwords = [...samples(), ...growing, ...growing.map((word) => `7${word}9`)];
    const estimates = (zxcvbn: ZxcvbnFactory) =>
      passwords.map((password) => ({
        ...zxcvbn.check(password, [...OWN_WORDS, ...GROWING]),
        calcTime: 0,
      }));
    const expected = estimates(slow);
    lookUpQuickly(quick);
    assert.deepEqual(estimates(quick), expected);
  });
});

/** The same passwords every time: words joined, reversed, in capitals and with substitutions. */
function samples(): string[] {
  let state = 20_261;
  const pick = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 1;
    return (state >>> 8) % below;
  };
  const forms = [
    (word: string) => word,
    (word: string) => [...word].reverse().join(''),
    (word: string) => word.toUpperCase(),
    (word: string) => word.replaceAll('a', '4').replaceAll('o', '0').replaceAll('s', '$'),
  ];
  const piece = () =>
    (forms[pick(4)]?.([...PIECES, ...OWN_WORDS][pick(PIECES.length + 3)] ?? '') ?? '') +
    (['', '-', ' ', '.'][pick(4)] ?? '');
  return Array.from({ length: SAMPLES }, () =>
    Array.from({ length: 1 + pick(5) }, piece)
      .join('')
      .slice(0, 48),
  );
}
