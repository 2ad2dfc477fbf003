import { domainToUnicode } from 'node:url';
import { invalidField } from '../platform/invalid-field.ts';
import { canonicalEmail } from './email.ts';
import { ASCII_LOOK_ALIKES, LATIN_LOOK_ALIKES } from './look-alikes.ts';

/** The longest address that an account may have. */
export const MAX_EMAIL = 254;
/** The form that the HTML standard gives addresses, as for sign-ups. */
export const EMAIL_FORM =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

/** The scripts in everyday use: UAX 31, table 5. */
const SCRIPTS = [
  ...['Arab', 'Armn', 'Beng', 'Bopo', 'Cyrl', 'Deva', 'Ethi', 'Geor', 'Grek', 'Gujr'],
  ...['Guru', 'Hang', 'Hani', 'Hebr', 'Hira', 'Kana', 'Khmr', 'Knda', 'Laoo', 'Latn'],
  ...['Mlym', 'Mymr', 'Orya', 'Sinh', 'Taml', 'Telu', 'Thaa', 'Thai', 'Tibt'],
];
/** Those that are written together in one word: UTS 39, section 5.2, "highly restrictive". */
const TOGETHER = [
  ['Latn', 'Hani', 'Hira', 'Kana'],
  ['Latn', 'Hani', 'Bopo'],
  ['Latn', 'Hani', 'Hang'],
];

/** Each matches names in one script or in scripts that are written together; the last, in rare ones. */
const WRITINGS = [
  ...[...SCRIPTS.map((script) => [script]), ...TOGETHER].map(
    (scripts) => new RegExp(`^[${ofScripts([...scripts, 'Zyyy', 'Zinh'])}]*$`, 'u'),
  ),
  new RegExp(`^[^${ofScripts(SCRIPTS)}]*$`, 'u'),
];

const LATIN = /[\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]/u;

/**
 * Throws `INVALID_REQUEST` for an address whose domain, as people see it, looks like another one (C11):
 * part of its name mixes scripts, all of it could be read as Latin although some of it is not (UTS 39,
 * sections 4 and 5), or it has a Latin letter that could be read as an ASCII one. `field` is its path in
 * the request.
 */
export function checkEmail(email: string, field: string): void {
  const domain = canonicalEmail(email).split('@').at(-1) ?? '';
  if (isLookAlike(domain)) throw invalidField(field, 'has a domain that looks like another one');
}

/** Whether a text is an address that could sign up: for what comes from elsewhere than a request. */
export function isAddress(text: string): boolean {
  if (text.length > MAX_EMAIL || !EMAIL_FORM.test(text)) return false;
  return !isLookAlike(canonicalEmail(text).split('@').at(-1) ?? '');
}

function isLookAlike(domain: string): boolean {
  const labels = domain.split('.');
  if (!labels.some(isEncoded)) return false;
  const shown = labels.map((label) => (isEncoded(label) ? domainToUnicode(label) : label));
  const whole = shown.join('.');
  return (
    shown.includes('') || shown.some(mixesScripts) || passesForLatin(whole) || passesForAscii(whole)
  );
}

/** Whether a label stands for letters beyond ASCII: RFC 5890, section 2.3.2.1. */
function isEncoded(label: string): boolean {
  return label.startsWith('xn--');
}

function mixesScripts(label: string): boolean {
  return !WRITINGS.some((writing) => writing.test(label));
}

function passesForLatin(domain: string): boolean {
  const characters = [...domain.normalize('NFD')];
  const isReadable = (character: string) =>
    LATIN.test(character) || LATIN_LOOK_ALIKES.has(character);
  return (
    characters.every(isReadable) && characters.some((character) => LATIN_LOOK_ALIKES.has(character))
  );
}

/** Domains in languages written with a dotless i: a letter or an ending that shows the language. */
const DOTLESS = /[çğşöüə]|\.(tr|az)$/u;

function passesForAscii(domain: string): boolean {
  const isTwin = (letter: string) => ASCII_LOOK_ALIKES.has(letter);
  const letters = [...domain.normalize('NFC')].filter(isTwin);
  return letters.some((letter) => letter !== 'ı' || !DOTLESS.test(domain));
}

/** Returns a character class (regular expression) of every character used in one of the scripts. */
function ofScripts(scripts: readonly string[]): string {
  return scripts.map((script) => `\\p{scx=${script}}`).join('');
}
