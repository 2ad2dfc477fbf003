import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ENGLISH, type TextKey, type Texts } from './english.ts';
import { type Language, Languages, languageOf, placeholdersOf } from './languages.ts';

const MAX_LENGTH = 5000;

export type TextFolder = {
  languages: Languages;
  /** Why the folder can't be used. */
  problems: string[];
  /** What is missing or not known: of another version, perhaps. English stands in. */
  gaps: string[];
};

/**
 * Reads the operator's texts: one JSON file for each language, named by its tag, from keys to texts. A file
 * `en.json` changes English ones. Every problem is found at once.
 */
export function readTexts(folder: string | undefined): TextFolder {
  const problems: string[] = [];
  const gaps: string[] = [];
  const read = folder === undefined ? [] : filesIn(folder, problems);
  const languages = read.flatMap((file) => languageIn(file, problems, gaps));
  return { languages: new Languages(languages), problems, gaps };
}

function filesIn(folder: string, problems: string[]): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
    if (names.length === 0) problems.push(`${folder} has no file like de.json`);
    return names.sort().map((name) => join(folder, name));
  } catch (error) {
    problems.push(`${folder} can't be read: ${(error as Error).message}`);
    return [];
  }
}

function languageIn(file: string, problems: string[], gaps: string[]): Language[] {
  const tag = tagOf(file);
  if (tag === undefined) {
    problems.push(`${file} is not named by a language, like de.json or pt-BR.json`);
    return [];
  }
  const entries = entriesIn(file, problems);
  const known = entries.filter(([key]) => Object.hasOwn(ENGLISH, key));
  const unknown = entries.filter(([key]) => !Object.hasOwn(ENGLISH, key));
  gaps.push(...unknown.map(([key]) => `${file}: ${key} is not a text of this version`));
  const texts = Object.fromEntries(known) as Partial<Texts>;
  for (const [key, text] of known) problems.push(...flaws(file, key as TextKey, text));
  if (tag !== 'en') {
    const missing = Object.keys(ENGLISH).filter((key) => !Object.hasOwn(texts, key));
    gaps.push(...missing.map((key) => `${file}: ${key} is missing`));
  }
  return [languageOf(tag, texts)];
}

/** The language tag that a file is named by, in its usual spelling. */
function tagOf(file: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(basename(file, '.json'))[0];
  } catch {
    return undefined;
  }
}

function entriesIn(file: string, problems: string[]): [string, unknown][] {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return Object.entries(value);
    }
    problems.push(`${file} is not an object from keys to texts`);
  } catch (error) {
    problems.push(`${file} can't be read: ${(error as Error).message}`);
  }
  return [];
}

function flaws(file: string, key: TextKey, text: unknown): string[] {
  if (typeof text !== 'string' || text.trim() === '' || text.length > MAX_LENGTH) {
    return [`${file}: ${key} is not a text of 1 to ${MAX_LENGTH} characters`];
  }
  const wanted = placeholdersOf(ENGLISH[key]);
  const found = placeholdersOf(text);
  const list = (names: string[]) => names.map((name) => `{${name}}`).join(', ') || 'nothing';
  if (wanted.join() === found.join()) return [];
  return [
    `${file}: ${key} has ${list(found)} to fill in, where the English one has ${list(wanted)}`,
  ];
}
