import { domainToUnicode } from 'node:url';
import { Failure } from '../platform/failure.ts';

/**
 * The form in which an address is compared: without surrounding space, in lower case. Addresses have
 * passed the `email` rule of the proto, so they are ASCII, and only the names of domains can stand for
 * other letters.
 */
export function canonicalEmail(email: string): string {
  return email.trim().toLowerCase();
}

/**
 * Throws `INVALID_REQUEST` for an address whose domain, as people are shown it, looks like another one
 * (C11): a name that mixes scripts, or is spelled in letters of another script that pass for Latin
 * ones (UTS 39, sections 4 and 5). `field` is its path in the request.
 */
export function checkEmail(email: string, field: string): void {
  const domain = canonicalEmail(email).split('@').at(-1) ?? '';
  if (!domain.split('.').some((label) => label.startsWith('xn--') && isLookAlike(label))) return;
  const description = 'has a domain that looks like another one';
  throw new Failure('invalid', 'INVALID_REQUEST', `the address ${description}`, {
    fields: [{ path: field, description }],
  });
}

/** Scripts that are written with each other; every other name keeps to one. */
const TOGETHER: readonly RegExp[] = [
  /^[\p{Script=Latin}\p{Nd}-]+$/u,
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Latin}\p{Nd}ー-]+$/u,
  /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Latin}\p{Nd}-]+$/u,
  /^[\p{Script=Han}\p{Script=Bopomofo}\p{Script=Latin}\p{Nd}-]+$/u,
];
/** Letters of Cyrillic, Greek and Armenian that pass for Latin ones. */
const LATIN_LIKE = /^[асԁеһіјӏорԛѕѵԝхуαικνορτυχγօոսցհզ\p{Nd}-]+$/u;

const SCRIPTS = [
  'Latin',
  'Cyrillic',
  'Greek',
  'Armenian',
  'Hebrew',
  'Arabic',
  'Thai',
  'Devanagari',
];
/** What belongs to any script. */
const COMMON = /[\p{M}\p{Nd}-]/u;

function isLookAlike(label: string): boolean {
  const shown = domainToUnicode(label);
  if (shown === '' || LATIN_LIKE.test(shown)) return true;
  if (TOGETHER.some((scripts) => scripts.test(shown))) return false;
  const letters = [...shown].filter((character) => !COMMON.test(character));
  return new Set(letters.map(scriptOf)).size > 1;
}

function scriptOf(letter: string): string {
  return SCRIPTS.find((name) => new RegExp(`\\p{Script=${name}}`, 'u').test(letter)) ?? 'other';
}
