import { ENGLISH, type TextKey, type Texts } from './english.ts';

/** The texts of one language. */
export type Language = {
  /** RFC 5646. */
  readonly tag: string;
  readonly direction: 'ltr' | 'rtl';
  readonly texts: Texts;
};

/** More than a browser sends; what is behind it is not read. */
const MAX_RANGES = 20;

/** The languages that there are texts in. English always is one of them, and the last resort. */
export class Languages {
  readonly all: readonly Language[];
  readonly #byTag: ReadonlyMap<string, Language>;

  constructor(languages: readonly Language[] = []) {
    const english = languages.find(({ tag }) => tag === 'en') ?? languageOf('en', {});
    this.all = [english, ...languages.filter((each) => each !== english)];
    this.#byTag = new Map(this.all.map((each) => [each.tag.toLowerCase(), each]));
  }

  /**
   * Returns the first language of a list of preferences that there is, by the form and the weights of
   * `Accept-Language` (RFC 9110, section 12.5.4) and the lookup of RFC 4647, section 3.4: `de` serves
   * who asks for `de-AT`.
   */
  choose(preferences: string): Language {
    for (const range of rangesOf(preferences)) {
      for (let tag = range; tag !== ''; tag = tag.replace(/(^|-)[^-]*$/, '')) {
        const found = this.#byTag.get(tag);
        if (found) return found;
      }
    }
    return this.all[0] as Language;
  }
}

/** A language with these texts, and the English ones where they lack some. */
export function languageOf(tag: string, texts: Partial<Texts>): Language {
  return { tag, direction: directionOf(tag), texts: { ...ENGLISH, ...texts } };
}

/** The ranges of a list of preferences in lower case, the most preferred first. */
function rangesOf(preferences: string): string[] {
  return preferences
    .toLowerCase()
    .split(',', MAX_RANGES)
    .map((item) => /^\s*([a-z\d-]{1,35})\s*(?:;\s*q=([\d.]{1,5})\s*)?$/.exec(item))
    .map((match) => ({ range: match?.[1] ?? '', weight: Number(match?.[2] ?? 1) }))
    .filter(({ range, weight }) => range !== '' && weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ range }) => range);
}

/**
 * The first language of a list of preferences, as a tag to keep. It is asked of an errand too, whose
 * caller an earlier version may have queued without one.
 */
export function localeOf(preferences: string | undefined): string | null {
  const [range] = rangesOf(preferences ?? '');
  try {
    return (range && Intl.getCanonicalLocales(range)[0]) || null;
  } catch {
    return null;
  }
}

const RIGHT_TO_LEFT: ReadonlySet<string> = new Set([
  'Arab',
  'Hebr',
  'Thaa',
  'Syrc',
  'Nkoo',
  'Adlm',
]);

function directionOf(tag: string): 'ltr' | 'rtl' {
  return RIGHT_TO_LEFT.has(new Intl.Locale(tag).maximize().script ?? '') ? 'rtl' : 'ltr';
}

const PLACEHOLDER = /\{(\w+)\}/g;

/** The names of what is filled into a text, in alphabetical order. */
export function placeholdersOf(text: string): string[] {
  return [...new Set([...text.matchAll(PLACEHOLDER)].map(([, name]) => name as string))].sort();
}

/** A text with its values filled in. */
export function say(
  { texts }: Pick<Language, 'texts'>,
  key: TextKey,
  values: Readonly<Record<string, string | number>> = {},
): string {
  return texts[key].replace(PLACEHOLDER, (whole, name: string) => String(values[name] ?? whole));
}
