import { v7 as uuidv7 } from 'uuid';
import { USER_ROLE } from '../access/permissions.ts';
import type { AuditEntry } from '../audit/audit-entry.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import {
  findAccounts,
  insertAccounts,
  type NewAccount,
  removeDisposable,
  type UpdatedAccount,
  updateAccounts,
} from './import-accounts.ts';
import { type Decision, decide, type Found } from './import-plan.ts';
import { type ImportRights, importRights } from './import-rights.ts';
import type { ImportSettings, NumberedRow, RowResult } from './import-row.ts';

/** Decides on the rows of one batch and writes their accounts, in one transaction. */
export class BatchWriter {
  readonly #tx: Transaction;
  readonly #settings: ImportSettings;
  readonly #created: NewAccount[] = [];
  readonly #changed: UpdatedAccount[] = [];

  constructor(tx: Transaction, settings: ImportSettings) {
    this.#tx = tx;
    this.#settings = settings;
  }

  /** Writes rows and adds their results. Returns those to try again, since others were quicker. */
  async attempt(
    open: readonly NumberedRow[],
    results: Map<number, RowResult>,
  ): Promise<NumberedRow[]> {
    const decided = await this.#decide(open);
    const written = this.#settings.dryRun ? undefined : await this.#write([...decided.values()]);
    const again: NumberedRow[] = [];
    for (const [each, decision] of decided) {
      const isLost = decision.type === 'create' && written?.has(decision.account.id) === false;
      if (isLost) again.push(each);
      else results.set(each.place, resultOf(each.place, decision));
    }
    return again;
  }

  async #decide(open: readonly NumberedRow[]): Promise<Map<NumberedRow, Decision>> {
    const { em, caller } = this.#tx;
    const { update, dryRun } = this.#settings;
    const rows = open.map(({ row }) => row);
    const accounts = await findAccounts(em, rows, { lock: update && !dryRun });
    const found: Found = {
      byExternalId: new Map(accounts.map((account) => [account.externalId ?? '', account])),
      byEmail: new Map(accounts.map((account) => [account.canonicalEmail, account])),
    };
    const holders = update ? accounts : [];
    const rights = await this.#rights([...rows, ...holders]);
    const options = { update, rights, caller };
    return new Map(open.map((each) => [each, decide(each.row, uuidv7(), found, options)]));
  }

  #rights(holders: readonly { roles: readonly string[] }[]): Promise<ImportRights> {
    const names = new Set([USER_ROLE, ...holders.flatMap(({ roles }) => roles)]);
    // No role has another kind of name, and a text with a NUL can't be sent to the database.
    const possible = [...names].filter((name) => /^[a-z0-9_-]{1,40}$/.test(name));
    return importRights(this.#tx, possible);
  }

  /** Returns the ids of the accounts that were created. */
  async #write(decisions: readonly Decision[]): Promise<ReadonlySet<string>> {
    const { em, now } = this.#tx;
    const wanted = decisions.filter((decision) => decision.type === 'create');
    const changes = decisions.flatMap((each) => (each.type === 'update' ? [each.change] : []));
    const inTheWay = wanted.flatMap(({ inPlaceOf }) => (inPlaceOf ? [inPlaceOf] : []));
    await removeDisposable(this.#tx, inTheWay);
    const accounts = wanted.map(({ account }) => account);
    const ids = await insertAccounts(em, now, accounts);
    await updateAccounts(em, now, changes);
    this.#created.push(...accounts.filter(({ id }) => ids.has(id)));
    this.#changed.push(...changes);
    return ids;
  }

  /** An event for each account and one with the numbers of rows; none if no account was written. */
  events(counts: Record<RowResult['outcome'], number>): AuditEntry[] {
    if (this.#created.length + this.#changed.length === 0) return [];
    const common = { import_id: this.#tx.caller.requestId };
    const created = this.#created.map(({ id, row, roles }): AuditEntry => {
      const details = { ...common, roles, state: row.state ?? 'active' };
      return { type: 'account.created', subject: id, details };
    });
    const changed = this.#changed.map((change): AuditEntry => {
      const { id, fields, displayName, oldDisplayName, locale, oldLocale } = change;
      const before = { display_name: oldDisplayName, locale: oldLocale };
      const after = { display_name: displayName, locale };
      const isNamed = displayName !== undefined || locale !== undefined;
      const names = isNamed && { personal: { before: present(before), after: present(after) } };
      return { type: 'account.updated', subject: id, details: { ...common, fields }, ...names };
    });
    return [...created, ...changed, { type: 'users.imported', details: { ...common, ...counts } }];
  }
}

/** Without what is undefined. */
function present(values: Record<string, string | undefined>): Record<string, string> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Record<string, string>;
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
