import type { Caller } from '../platform/caller.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { BreachedPasswords } from './breached-passwords.ts';
import type { PasswordStrength, Strength } from './password-strength.ts';

/** In code points after NFKC. */
export const MAX_PASSWORD_LENGTH = 128;
/** In code points, without the account's own words; anything shorter is guessed in no time. */
const MIN_REST = 8;
/** Shorter words are part of too many good passwords. */
const MIN_WORD = 4;
/** A name may have a hundred words; the comparison does not need them all. */
const MAX_WORDS = 20;
/** On zxcvbn's scale of 0 to 4. See docs/decisions/0009-passwords.md. */
const MIN_SCORE = 2;

type PolicyParts = {
  /** In code points after NFKC. */
  minLength: number;
  strength: PasswordStrength;
  breached: BreachedPasswords | undefined;
};

/** What a password is judged by, apart from the password itself. */
export type PasswordContext = {
  /** The password's path in the request. */
  field: string;
  /** The account's address and display name. */
  ownWords: readonly string[];
  /** Who gives it, and waits. */
  caller: Pick<Caller, 'ipAddress' | 'signal'>;
};

/**
 * Decides which passwords are good enough (C01): those of `minLength` to 128 code points after NFKC, of
 * any kind and composition, that are not easy to guess for someone who knows the account, lists of
 * passwords, and how people choose them (NIST SP 800-63B-4, 3.1.1.2).
 */
export class PasswordPolicy {
  readonly #minLength: number;
  readonly #strength: PasswordStrength;
  readonly #breached: BreachedPasswords | undefined;

  constructor({ minLength, strength, breached }: PolicyParts) {
    this.#minLength = minLength;
    this.#strength = strength;
    this.#breached = breached;
  }

  /**
   * Throws `PASSWORD_TOO_WEAK` with the field and the reason, `OVERLOADED` if too many passwords wait
   * to be judged, and `DEPENDENCY_UNAVAILABLE` if judging fails.
   */
  async check(password: string, { field, ownWords, caller }: PasswordContext): Promise<void> {
    const description = await this.#objection(password.normalize('NFKC'), ownWords, caller);
    if (description === undefined) return;
    throw invalidField(field, description, 'PASSWORD_TOO_WEAK');
  }

  async #objection(
    password: string,
    ownWords: readonly string[],
    caller: PasswordContext['caller'],
  ): Promise<string | undefined> {
    const length = [...password].length;
    if (length < this.#minLength || length > MAX_PASSWORD_LENGTH) {
      return `must have ${this.#minLength} to ${MAX_PASSWORD_LENGTH} characters; it has ${length}`;
    }
    const words = wordsOf(ownWords);
    if (holdsAddress(password, ownWords)) return 'contains the address of the account';
    if (isMadeOf(password, words)) return 'is little more than the name or address of the account';
    const weakness = weaknessOf(await this.#strength.judge(password, words, caller));
    if (weakness !== undefined) return weakness;
    if (await this.#breached?.includes(password, caller.signal))
      return 'is known from a data breach';
    return undefined;
  }
}

function weaknessOf({ isCommon, score, warning, suggestions }: Strength): string | undefined {
  if (isCommon) return 'is on a list of common passwords';
  if (score >= MIN_SCORE) return undefined;
  return ['is easy to guess.', warning, ...suggestions.slice(0, 2)].filter(Boolean).join(' ');
}

/** The texts, the parts of addresses, and all their words, in lower case, the longest first. */
function wordsOf(texts: readonly string[]): string[] {
  const words = texts
    .map((text) => text.normalize('NFKC').toLowerCase())
    .flatMap((text) => [text, ...text.split('@'), ...text.split(/[^\p{L}\p{M}\p{N}]+/u)])
    .filter((word) => [...word].length >= MIN_WORD);
  return [...new Set(words)].sort((a, b) => b.length - a.length).slice(0, MAX_WORDS);
}

/** Whether one of the texts is an address that the password contains, however long the rest is. */
function holdsAddress(password: string, texts: readonly string[]): boolean {
  const whole = password.toLowerCase();
  return texts
    .map((text) => text.normalize('NFKC').trim().toLowerCase())
    .some((text) => /^\S+@\S+$/.test(text) && whole.includes(text));
}

/** Whether little of a password is left without these words and what stands between words. */
function isMadeOf(password: string, words: readonly string[]): boolean {
  const whole = password.toLowerCase();
  const rest = words.reduce((text, word) => text.replaceAll(word, ' '), whole);
  return rest !== whole && [...rest.replace(/[\p{Z}\p{P}\p{S}]+/gu, '')].length < MIN_REST;
}
