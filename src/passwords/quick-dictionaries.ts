import type { ZxcvbnFactory } from '@zxcvbn-ts/core';

/** In bits: 2 MiB, of which the 236,000 words of the dictionaries set one in seventy. */
const FILTER_BITS = 24;
const FACTOR = 0x01000193;

type Ranks = Record<string, Record<string, number>>;
type Question = {
  password: string;
  userInputsOptions?: { rankedDictionary: Record<string, number> };
};
type Matcher = {
  options: { rankedDictionaries: Ranks };
  getRangedDictionaries(userInputs: Question['userInputsOptions']): {
    rankedDictionaries: Ranks;
    rankedDictionariesMaxWordSize: Record<string, number>;
  };
  match(question: Question): object[];
};

/**
 * Makes zxcvbn look up only those parts of a password in its dictionaries that may be there, with the
 * same result, except that `constructor`, a name that every object has, is no word. By itself it looks up
 * every part in every dictionary, six times over, which is two thirds of an estimate: a hash that grows
 * with the part, and a bit for each word's hash, rule nearly all of them out without making a string of
 * the part.
 *
 * The matchers for reversed words, substitutions and sequences of words use the same method.
 */
export function lookUpQuickly(zxcvbn: ZxcvbnFactory): void {
  const { matching } = zxcvbn as unknown as { matching: { matchers: { dictionary: Matcher } } };
  const { dictionary } = matching.matchers;
  const filter = filterOf(Object.values(dictionary.options.rankedDictionaries));
  const prototype = Object.getPrototypeOf(dictionary) as Matcher;
  const slowly = prototype.match;
  prototype.match = function match(this: Matcher, question: Question): object[] {
    const lower = question.password.toLowerCase();
    // Its parts would not be those of the password.
    if (lower.length !== question.password.length) return slowly.call(this, question);
    const known = this.getRangedDictionaries(question.userInputsOptions);
    const own = filterOf([question.userInputsOptions?.rankedDictionary ?? {}], 10);
    const limits = known.rankedDictionariesMaxWordSize;
    const longest = Math.max(0, ...Object.values(limits));
    const dictionaries = Object.entries(known.rankedDictionaries).map(
      ([name, words]) => [name, words, limits[name] ?? 0] as const,
    );
    const matches: object[] = [];
    for (let i = 0; i < lower.length; i += 1) {
      // As zxcvbn does: a whole password of one more may be an own word, which grew in lower case (İ).
      const end = Math.min(lower.length, i === 0 ? longest + 1 : i + longest);
      for (let j = i, hash = 0; j < end; j += 1) {
        hash = next(hash, lower.charCodeAt(j));
        if (!has(filter, hash) && !has(own, hash)) continue;
        addMatches(matches, dictionaries, question.password, { i, j, lower });
      }
    }
    return matches;
  };
}

function addMatches(
  matches: object[],
  dictionaries: (readonly [name: string, words: Record<string, number>, longest: number])[],
  password: string,
  { i, j, lower }: { i: number; j: number; lower: string },
): void {
  const matchedWord = lower.slice(i, j + 1);
  const isWhole = matchedWord.length === lower.length;
  for (const [dictionaryName, words, longest] of dictionaries) {
    if (!isWhole && matchedWord.length > longest) continue;
    if (!Object.hasOwn(words, matchedWord)) continue;
    matches.push({
      pattern: 'dictionary',
      i,
      j,
      token: password.slice(i, j + 1),
      matchedWord,
      rank: words[matchedWord],
      dictionaryName,
      reversed: false,
      l33t: false,
    });
  }
}

/** Returns a bit for each hash; those of the words are set. */
function filterOf(
  dictionaries: readonly Record<string, number>[],
  bits = FILTER_BITS,
): Uint32Array {
  const filter = new Uint32Array(2 ** (bits - 5));
  for (const words of dictionaries) {
    for (const word of Object.keys(words)) {
      let hash = 0;
      for (let at = 0; at < word.length; at += 1) hash = next(hash, word.charCodeAt(at));
      const place = (hash >>> 5) & (filter.length - 1);
      filter[place] = (filter[place] ?? 0) | (1 << (hash & 31));
    }
  }
  return filter;
}

function has(filter: Uint32Array, hash: number): boolean {
  return ((filter[(hash >>> 5) & (filter.length - 1)] ?? 0) & (1 << (hash & 31))) !== 0;
}

/** The hash of a part that is one unit longer (FNV-1a). */
function next(hash: number, unit: number): number {
  const mixed = Math.imul(hash ^ unit ^ 0x9e37, FACTOR);
  return mixed ^ (mixed >>> 15);
}
