import { perSecond } from '../report/table.ts';
import { WORKS, type Work } from './peer.ts';
import type { Measured, Results } from './results.ts';

/** A peer's figures for one work: each with how it was done, such as `gRPC`, which may be empty. */
export type Entry = { peer: string; how: string; value: number };
export type Group = { title: string; unit: '/s' | 'ms' | 'MiB'; entries: Entry[] };

const TITLES: Record<Work, string> = {
  TokenCheck: 'Token check',
  ApiKeyCheck: 'API-key check',
  Exchange: 'A token for a program',
  Refresh: 'Refresh',
  SignUp: 'Sign-up',
  Login: 'Login',
};

/** Returns the results as groups of figures that can be compared: first rates, then what is better low. */
export function groupsOf({ works, latency, memory }: Results): Group[] {
  const rates = WORKS.flatMap((work): Group[] => {
    const found = works[work];
    return found ? [{ title: TITLES[work], unit: '/s', entries: found.map(entryOf) }] : [];
  });
  return [
    ...rates,
    { title: 'p99 of token checks at 500/s', unit: 'ms', entries: latency.map(entryOf) },
    {
      title: 'Resident memory, idle and after the load',
      unit: 'MiB',
      entries: memory.flatMap(({ name, idle, after }) => [
        { ...nameOf(name, 'idle'), value: idle },
        { ...nameOf(name, 'after'), value: after },
      ]),
    },
  ].filter(({ entries }) => entries.length > 0) as Group[];
}

function entryOf({ name, value }: Measured): Entry {
  return { ...nameOf(name), value };
}

/** `oidc-provider, introspection, in memory` is how the peer oidc-provider introspects. */
function nameOf(name: string, also = ''): { peer: string; how: string } {
  const [peer = '', ...how] = name.split(', ');
  return { peer, how: [...how, also].filter((part) => part !== '').join(', ') };
}

/** Returns a table in Markdown: a line for each work, a column for each peer. */
export function peersTable(results: Results): string {
  const groups = groupsOf(results);
  const peers = [...new Set(groups.flatMap(({ entries }) => entries.map(({ peer }) => peer)))];
  const headings = peers.map((peer) => `${peer} ${versionOf(results, peer)}`.trim());
  const lines = groups.map((group) => {
    const cells = peers.map((peer) =>
      group.entries
        .filter((entry) => entry.peer === peer)
        .map((entry) => [entry.how, amount(entry.value, group.unit)].filter(Boolean).join(' '))
        .join('<br>'),
    );
    return `| ${[titleOf(group), ...cells.map((cell) => cell || '–')].join(' | ')} |`;
  });
  return [
    `| | ${headings.join(' | ')} |`,
    `|---|${'---|'.repeat(peers.length)}`,
    ...lines,
    '',
    caption(results),
  ].join('\n');
}

function versionOf({ versions }: Results, peer: string): string {
  const name = Object.keys(versions).find((each) => each.split(', ')[0] === peer);
  return name === undefined ? '' : (versions[name] ?? '');
}

/** The title of a group, with its unit. */
export function titleOf({ title, unit }: Group): string {
  return unit === '/s' ? `${title}, per second` : `${title}, ${unit} (less is better)`;
}

/** Says when and how the figures were made. */
export function caption({ date, machine, rounds, seconds }: Results): string {
  return `Measured on ${date} in one run on ${machine}: service, load and PostgreSQL on the same cores, in turn, medians of ${counted(rounds, 'round')} of ${counted(seconds, 'second')}.`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

export function amount(value: number, unit: Group['unit']): string {
  return unit === 'ms' ? value.toFixed(1) : perSecond(value);
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- end of NAME -->`. */
export function withSection(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from === -1 || to < from) throw new Error(`the document has no section ${name}`);
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}
