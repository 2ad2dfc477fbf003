import { v7 as uuidv7 } from 'uuid';
import { USER_ROLE } from '../access/permissions.ts';
import { type AuditEntry, recordAll } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { unavailable } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import {
  findAccounts,
  insertAccounts,
  type NewAccount,
  removeUnclaimed,
  type UpdatedAccount,
  updateAccounts,
} from './import-accounts.ts';
import { type Decision, decide, type Found } from './import-plan.ts';
import { type Importer, type ImportRights, importRights } from './import-rights.ts';
import { faultOf, type ImportRow, type Incoming, type RowResult } from './import-row.ts';

export type ImportDeps = { database: SqlDatabase; clock: Clock };

export type ImportSettings = {
  /** Names the import in its audit events. */
  importId: string;
  importer: Importer;
  /** Says what would become of each row, and writes nothing. */
  dryRun: boolean;
  /** Whether accounts that are there are changed. */
  update: boolean;
};

type Place = { place: number; row: ImportRow };

/** Taken in this moment by others, this often in a row: it does not happen. */
const ATTEMPTS = 3;

/**
 * Writes a batch of rows that name different accounts, with an audit event for each account, in the
 * caller's transaction. Gives what became of each row, in their order.
 */
export async function importBatch(
  em: EntityManager,
  deps: ImportDeps,
  caller: Caller,
  batch: readonly Incoming[],
  settings: ImportSettings,
): Promise<RowResult[]> {
  const now = deps.clock.now();
  const results = new Map<number, RowResult>();
  let open: Place[] = [];
  for (const incoming of batch) {
    const { place } = incoming;
    const fault = 'fault' in incoming ? incoming.fault : faultOf(incoming.row, now);
    if (fault) results.set(place, { place, outcome: 'refused', fault });
    else if ('row' in incoming) open.push(incoming);
  }
  const writing = new BatchWriting(em, now, settings);
  for (let attempt = 1; open.length > 0; attempt += 1) {
    if (attempt > ATTEMPTS) throw unavailable('the database');
    open = await writing.attempt(open, results);
  }
  const told = batch.map(({ place }) => results.get(place) as RowResult);
  if (!settings.dryRun) await recordAll(em, deps, caller, writing.events(told));
  return told;
}

class BatchWriting {
  readonly #em: EntityManager;
  readonly #now: Date;
  readonly #settings: ImportSettings;
  readonly #created: NewAccount[] = [];
  readonly #changed: UpdatedAccount[] = [];

  constructor(em: EntityManager, now: Date, settings: ImportSettings) {
    this.#em = em;
    this.#now = now;
    this.#settings = settings;
  }

  /** Gives the rows that are still to be decided about: somebody else was quicker. */
  async attempt(open: readonly Place[], results: Map<number, RowResult>): Promise<Place[]> {
    const decided = await this.#decide(open);
    const written = this.#settings.dryRun ? undefined : await this.#write(decided.values());
    const again: Place[] = [];
    for (const [each, decision] of decided) {
      const isLost = decision.type === 'create' && written?.has(decision.account.id) === false;
      if (isLost) again.push(each);
      else results.set(each.place, resultOf(each.place, decision));
    }
    return again;
  }

  async #decide(open: readonly Place[]): Promise<Map<Place, Decision>> {
    const { update, importer } = this.#settings;
    const rows = open.map(({ row }) => row);
    const accounts = await findAccounts(this.#em, rows, { lock: update && !this.#settings.dryRun });
    const found: Found = {
      byExternalId: new Map(accounts.map((account) => [account.externalId ?? '', account])),
      byEmail: new Map(accounts.map((account) => [account.canonicalEmail, account])),
    };
    const holders = update ? accounts : [];
    const rights = await this.#rights([...rows, ...holders]);
    const options = { update, rights, importerId: importer?.id };
    return new Map(open.map((each) => [each, decide(each.row, uuidv7(), found, options)]));
  }

  #rights(holders: readonly { roles: readonly string[] }[]): Promise<ImportRights> {
    const names = new Set([USER_ROLE, ...holders.flatMap(({ roles }) => roles)]);
    // No role has a longer name, and a NUL would be none of the database's letters.
    const sane = [...names].filter((name) => /^[a-z0-9_-]{1,40}$/.test(name));
    return importRights(this.#em, this.#settings.importer, sane);
  }

  async #write(decisions: Iterable<Decision>): Promise<ReadonlySet<string>> {
    const creations = [...decisions];
    const wanted = creations.filter((decision) => decision.type === 'create');
    const changes = creations.flatMap((each) => (each.type === 'update' ? [each.change] : []));
    const inTheWay = wanted.flatMap(({ inPlaceOf }) => (inPlaceOf ? [inPlaceOf] : []));
    await removeUnclaimed(this.#em, inTheWay);
    const accounts = wanted.map(({ account }) => account);
    const ids = await insertAccounts(this.#em, this.#now, accounts);
    await updateAccounts(this.#em, this.#now, changes);
    this.#created.push(...accounts.filter(({ id }) => ids.has(id)));
    this.#changed.push(...changes);
    return ids;
  }

  /** An event for each account, and one that says how many they are; none, where nothing changed. */
  events(results: readonly RowResult[]): AuditEntry[] {
    const { importId, importer } = this.#settings;
    if (this.#created.length + this.#changed.length === 0) return [];
    const by = { actor: importer?.id };
    const created = this.#created.map(({ id, row, roles }): AuditEntry => {
      const details = { import_id: importId, roles, state: row.state ?? 'active' };
      return { ...by, type: 'account.created', subject: id, details };
    });
    const changed = this.#changed.map(({ id, fields, displayName, oldDisplayName }): AuditEntry => {
      const names = displayName !== undefined && {
        personal: {
          before: { display_name: oldDisplayName },
          after: { display_name: displayName },
        },
      };
      const details = { import_id: importId, fields };
      return { ...by, type: 'account.updated', subject: id, details, ...names };
    });
    const details = { import_id: importId, ...countsOf(results) };
    return [...created, ...changed, { ...by, type: 'users.imported', details }];
  }
}

function resultOf(place: number, decision: Decision): RowResult {
  switch (decision.type) {
    case 'create':
      return { place, outcome: 'created', userId: decision.account.id };
    case 'update':
      return { place, outcome: 'updated', userId: decision.change.id };
    case 'unchanged':
      return { place, outcome: 'unchanged', userId: decision.userId };
    case 'refuse':
      return { place, outcome: 'refused', fault: decision.fault };
  }
}

export type Counts = Record<RowResult['outcome'], number>;

/** How many rows came to what. */
export function countsOf(results: readonly RowResult[]): Counts {
  const counts: Counts = { created: 0, updated: 0, unchanged: 0, refused: 0 };
  for (const { outcome } of results) counts[outcome] += 1;
  return counts;
}
