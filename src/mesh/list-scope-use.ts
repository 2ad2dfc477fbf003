import { apiKeyRecordsIn, type ObservedKey } from '../api-keys/api-key-record.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import { KEPT_DAYS, type ScopeDays, scopeUsesIn } from './scope-use.repository.ts';

const DAY_MS = 86_400_000;

export type ListScopeUse = PageRequest & {
  /** Empty: of all keys. */
  serviceAccountId: string;
  /** Empty: all keys. */
  apiKeyId: string;
  /** 0: as many as are kept. */
  days: number;
};

/** The names of `countersign.v1.ScopeState` without their prefix. */
type ScopeState = 'USED' | 'UNUSED' | 'MISSING';

/** The use of a scope within the days that were asked for. Days are empty if there is none. */
export type ScopeUseView = {
  scope: string;
  state: ScopeState;
  /** Of all days that are kept. */
  lastUsedOn: string;
  usedDays: number;
  firstMissingOn: string;
  lastMissingOn: string;
  missingDays: number;
};

export type KeyScopeUse = Omit<ObservedKey, 'scopes' | 'observedSince'> & {
  /** Undefined if it was observed on all of these days. */
  observedSince: Date | undefined;
  scopes: ScopeUseView[];
};

/**
 * Lists for each key that works which of its scopes were used in the last days, which were not, and
 * which it lacked; newest first. Throws `INVALID_REQUEST` for a page token of another query.
 */
export async function listScopeUse(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: ListScopeUse,
): Promise<{ keys: KeyScopeUse[]; nextPageToken: string }> {
  const { serviceAccountId, apiKeyId } = request;
  const days = request.days || KEPT_DAYS;
  const { items: keys, nextPageToken } = await readPage(
    keyring,
    ['scope_use', serviceAccountId, apiKeyId, String(days)],
    request,
    (before, limit) =>
      database.read(caller, async (em, now) => {
        const which = { id: apiKeyId || null, serviceAccountId: serviceAccountId || null };
        const observed = await apiKeyRecordsIn(em).listObserved({ ...which, before, limit, now });
        const known = await scopeUsesIn(em).ofKeys(observed.map((key) => key.apiKeyId));
        const daysOf = Map.groupBy(known, (each) => each.apiKeyId);
        const from = beginOf(days, now);
        return observed.map((key) => useOf(key, keptOf(daysOf.get(key.apiKeyId), now), from));
      }),
    (key) => key.apiKeyId,
  );
  return { keys, nextPageToken };
}

/** When the last `days` days began, the present one included. */
function beginOf(days: number, now: Date): Date {
  return new Date((Math.floor(now.getTime() / DAY_MS) + 1 - days) * DAY_MS);
}

/** Rows that nothing was added to for a while hold days that are over. */
function keptOf(rows: readonly ScopeDays[] = [], now: Date): ScopeDays[] {
  const first = dayOf(beginOf(KEPT_DAYS, now));
  const isKept = (day: string) => day >= first;
  return rows.map((row) => ({
    ...row,
    usedOn: row.usedOn.filter(isKept),
    missingOn: row.missingOn.filter(isKept),
  }));
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function useOf(key: ObservedKey, known: readonly ScopeDays[], from: Date): KeyScopeUse {
  const { scopes, observedSince, ...same } = key;
  const firstDay = dayOf(from);
  const daysOf = new Map(known.map((each) => [each.scope, each]));
  const names = new Set([...scopes, ...daysOf.keys()]);
  const uses = [...names].sort().map((scope) => {
    const { usedOn = [], missingOn = [] } = daysOf.get(scope) ?? {};
    const used = usedOn.filter((day) => day >= firstDay);
    const missing = missingOn.filter((day) => day >= firstDay);
    return {
      scope,
      state: stateOf(scopes.includes(scope), used.length > 0),
      lastUsedOn: usedOn.at(-1) ?? '',
      usedDays: used.length,
      firstMissingOn: missing[0] ?? '',
      lastMissingOn: missing.at(-1) ?? '',
      missingDays: missing.length,
    };
  });
  return {
    ...same,
    observedSince: observedSince > from ? observedSince : undefined,
    // A scope that was taken from the key concerns nobody unless a request has asked for it since.
    scopes: uses.filter(({ state, missingDays }) => state !== 'MISSING' || missingDays > 0),
  };
}

function stateOf(has: boolean, isUsed: boolean): ScopeState {
  if (!has) return 'MISSING';
  return isUsed ? 'USED' : 'UNUSED';
}
