import type { Service } from '../harness/service.ts';

export type Labels = Readonly<Record<string, string>>;
type Scraped = { name: string; labels: Labels; value: number };
export type Family = { name: string; type: string; help: string; samples: Scraped[] };

/** What a replica says at `/metrics`, by the names of metrics. */
export async function scrape({ app }: Pick<Service, 'app'>): Promise<Map<string, Family>> {
  const response = await fetch(`http://${app.metricsAddress}/metrics`);
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return familiesIn(await response.text());
}

/** The text format of Prometheus. Throws for a line that has no metric. */
function familiesIn(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let last: Family | undefined;
  for (const line of text.split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      last = { name, type: '', help: rest, samples: [] };
      families.set(name, last);
    } else if (kind === 'TYPE' && last) last.type = rest;
    else if (line !== '') last?.samples.push(sampleIn(line, last.name));
  }
  return families;
}

function sampleIn(line: string, family: string): Scraped {
  const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (!name.startsWith(family)) throw new Error(`not a sample of ${family}: ${line}`);
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [
    key,
    text,
  ]);
  return {
    name,
    labels: Object.fromEntries(pairs),
    value: Number(value.replace('Inf', 'Infinity')),
  };
}

/** The sum of the samples of this name (`…_count` of a histogram, for example) that have these labels. */
export function sumOf(families: Map<string, Family>, name: string, labels: Labels = {}): number {
  const samples = [...families.values()].flatMap((each) => each.samples);
  const found = samples.filter(
    (each) =>
      each.name === name &&
      Object.entries(labels).every(([key, text]) => each.labels[key] === text),
  );
  return found.length === 0 ? Number.NaN : found.reduce((sum, { value }) => sum + value, 0);
}
