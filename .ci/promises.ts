import { globSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * Lists every promise that has been made so far with the tests whose titles begin with its number.
 * A number joins this list with the issue that delivers it.
 */
const PROMISES = [
  ...['A01', 'A02', 'A03', 'A04', 'A05', 'A06', 'A07'],
  ...['C01', 'C02', 'C03', 'C04', 'C05', 'C06', 'C07', 'C08', 'C09', 'C10', 'C11', 'C12', 'C13'],
  ...['E01', 'E02', 'E05', 'E06'],
  ...['S01', 'S02', 'S03', 'S04', 'S05', 'S06', 'S07', 'S08', 'S09', 'S10', 'S11', 'S12'],
  ...['W01', 'W02', 'W03', 'W04', 'W05', 'W06', 'W07', 'W08', 'W09', 'W12', 'W14'],
];

const TITLE = /\b(?:it|describe|test)(?:\.\w+)?\(\s*(['"`])((?:[A-Z]\d\d[ ,])+[\s\S]*?)\1/g;

/** Each number with the titles that bear it. */
export function promises(): Map<string, string[]> {
  const found = new Map<string, string[]>(PROMISES.map((number) => [number, []]));
  for (const file of globSync('test/**/*.test.ts').sort()) {
    for (const [, , title = ''] of readFileSync(file, 'utf8').matchAll(TITLE)) {
      for (const number of /^(?:[A-Z]\d\d[ ,]+)+/.exec(title)?.[0].match(/[A-Z]\d\d/g) ?? []) {
        found.set(number, [...(found.get(number) ?? []), `${file}: ${title}`]);
      }
    }
  }
  return found;
}

/** The promises that no test bears. */
export function unproved(): string[] {
  return PROMISES.filter((number) => promises().get(number)?.length === 0);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [number, titles] of [...promises()].sort()) {
    process.stdout.write(`${number}\n${titles.map((title) => `    ${title}\n`).join('')}`);
  }
  const missing = unproved();
  if (missing.length > 0) {
    process.stderr.write(`\nno test bears ${missing.join(', ')}\n`);
    process.exitCode = 1;
  }
}
