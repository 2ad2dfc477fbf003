import { parseArgs } from 'node:util';
import { type KeyScopeUse, listScopeUse, type ScopeUseView } from '../mesh/list-scope-use.ts';
import { listShadowDenials } from '../mesh/list-shadow-denials.ts';
import type { ShadowDenial } from '../mesh/shadow-denial.entity.ts';
import { operator } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import type { Page } from '../platform/page.ts';
import { EXIT, type Io, print } from './io.ts';
import { type Answer, type OnDatabase, onDatabase, printAnswer } from './on-database.ts';

export const SCOPES_USAGE = `  scopes    see what API keys could do without, in the database that the service uses
              report [--days N] [--service-account ID] [--shadow]
                        for each key: remove what it does not use, add what it lacks; N is 1 to
                        30, the default. --shadow: what shadow mode let through, in place of that
`;

const DAY_MS = 86_400_000;
const PAGE = 100;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

type Asked = { json: boolean; days: number; serviceAccountId: string; shadow: boolean };

/** Why a scope should go, stay or come. */
type Advice = 'keep' | 'remove' | 'wait' | 'check' | 'add';

/** Reports what scopes are needed for, without asking the service, which may be down. */
export async function scopesCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign scopes …\n\n${SCOPES_USAGE}`, EXIT.usage);
  return onDatabase(io, async (on) => {
    const answer = asked.shadow ? await shadowReport(on) : await report(on, asked);
    return printAnswer(io, answer, asked.json);
  });
}

function parse(args: readonly string[]): Asked | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        days: { type: 'string', default: '30' },
        'service-account': { type: 'string', default: '' },
        shadow: { type: 'boolean', default: false },
      },
    });
    const { json, shadow, 'service-account': serviceAccountId } = values;
    const days = Number(values.days);
    if (positionals.join(' ') !== 'report' || !/^\d{1,2}$/.test(values.days)) return undefined;
    if (days < 1 || days > 30) return undefined;
    if (serviceAccountId !== '' && (shadow || !UUID.test(serviceAccountId))) return undefined;
    return { json, days, serviceAccountId, shadow };
  } catch {
    return undefined;
  }
}

async function report(on: OnDatabase, { days, serviceAccountId }: Asked): Promise<Answer> {
  const which = { days, serviceAccountId, apiKeyId: '' };
  const found = await all(async (page) => {
    const { keys: items, nextPageToken } = await listScopeUse(on, operator(), {
      ...which,
      ...page,
    });
    return { items, nextPageToken };
  });
  const since = addMs(on.clock.now(), -days * DAY_MS);
  const keys = found.map((key) => {
    const isUnseen = isUsedUnseen(key, since);
    const scopes = key.scopes.map((use) => ({ ...use, advice: adviceOn(use, key, isUnseen) }));
    return { ...key, scopes };
  });
  const text = keys.map((key) => {
    const lines = key.scopes.map((use) => `  ${use.advice.padEnd(6)}  ${use.scope}  ${why(use)}\n`);
    return `${heading(key)}\n${lines.join('')}`;
  });
  return { json: { days, keys }, text: text.join('') };
}

async function shadowReport(on: OnDatabase): Promise<Answer> {
  const found = await all(async (page) => {
    const { shadowDenials: items, ...more } = await listShadowDenials(on, operator(), page);
    return { items, ...more };
  });
  const shadowDenials = found
    .sort((one, other) => other.count - one.count)
    .map(({ rule, reason, subject, apiKeyId, count, firstAt, lastAt }) => {
      return { rule, reason, subject, apiKeyId, count, firstAt, lastAt };
    });
  return { json: { shadowDenials }, text: shadowDenials.map(denialLine).join('') };
}

async function all<T>(
  read: (page: { pageSize: number; pageToken: string }) => Promise<Page<T>>,
): Promise<T[]> {
  const items: T[] = [];
  for (let pageToken = ''; ; ) {
    const page = await read({ pageSize: PAGE, pageToken });
    items.push(...page.items);
    pageToken = page.nextPageToken;
    if (pageToken === '') return items;
  }
}

/** A scope is only said to be of no use if its use would have been seen. */
function adviceOn(
  { state, missingDays }: ScopeUseView,
  { observedSince }: KeyScopeUse,
  isUnseen: boolean,
): Advice {
  if (state === 'MISSING') return 'add';
  if (state === 'USED') return 'keep';
  if (missingDays > 0 || isUnseen) return 'check';
  return observedSince ? 'wait' : 'remove';
}

/** Whether a key is in use at services that never ask for a scope by name. */
function isUsedUnseen({ scopes, lastUsedAt }: KeyScopeUse, since: Date): boolean {
  return (
    lastUsedAt !== undefined &&
    lastUsedAt > since &&
    scopes.every(({ state }) => state === 'UNUSED')
  );
}

function heading(key: KeyScopeUse): string {
  const { apiKeyId, displayName, owner, observedSince, lastUsedAt } = key;
  const since = observedSince ? `  observed since ${observedSince.toISOString()}` : '';
  const use = lastUsedAt ? `used ${lastUsedAt.toISOString()}` : 'never used';
  return `${apiKeyId}  ${displayName}  ${owner.type} ${owner.id}  ${use}${since}`;
}

function why({ state, lastUsedOn, usedDays, lastMissingOn, missingDays }: ScopeUseView): string {
  const missing = `was missing on ${days(missingDays)}, last on ${lastMissingOn}`;
  if (state === 'MISSING') return missing;
  if (state === 'USED') return `used on ${days(usedDays)}, last on ${lastUsedOn}`;
  if (missingDays > 0) return `${missing}: does its owner hold it?`;
  return lastUsedOn === '' ? 'never used' : `last used on ${lastUsedOn}`;
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`;
}

type DenialLine = Omit<ShadowDenial, 'id'>;

function denialLine({
  rule,
  reason,
  subject,
  apiKeyId,
  count,
  firstAt,
  lastAt,
}: DenialLine): string {
  const who = subject === '' ? 'nobody' : `${subject}${apiKeyId === '' ? '' : ` key ${apiKeyId}`}`;
  const times = `${firstAt.toISOString()} to ${lastAt.toISOString()}`;
  return `${count}  ${reason}  ${who}  ${times}  ${rule}\n`;
}
