import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { MailBudget } from './mail-budget.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

/** How many mails may go out at once, and how long (ms) each of them takes to become available again. */
export type Allowance = { burst: number; everyMs: number };

export class MailBudgetRepository extends Repository<MailBudget> {
  /**
   * Spends one mail of a budget, in one statement, so that no two spend the same. Returns false if none
   * is left (the generic cell rate algorithm: `spent_until` moves on by one mail's time with each mail,
   * and may be as far ahead as a burst of them takes).
   */
  async spend(
    { recipient, kind }: { recipient: Uint8Array; kind: MailBudget['kind'] },
    { burst, everyMs }: Allowance,
    now: Date,
  ): Promise<boolean> {
    const rows = await this.query(
      `insert into mail_budgets as b (recipient, kind, spent_until)
       values ($1, $2, $3::timestamptz + $4::int * interval '1 millisecond')
       on conflict (recipient, kind) do update
       set spent_until = greatest(b.spent_until, $3) + $4::int * interval '1 millisecond'
       where b.spent_until <= $3::timestamptz + $5::int * interval '1 millisecond'
       returning 1`,
      [recipient, kind, now, everyMs, (burst - 1) * everyMs],
    );
    return rows.length > 0;
  }

  /** Deletes some of the budgets that are fully available again. Returns whether there may be more. */
  async forgetUnspent(now: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from mail_budgets where (recipient, kind) in
       (select recipient, kind from mail_budgets where spent_until < $1 limit ${BATCH}) returning 1`,
      [now],
    );
    return gone.length === BATCH;
  }
}

/** The budgets that a connection or a transaction sees. */
export function mailBudgetsIn(em: EntityManager): MailBudgetRepository {
  return new MailBudgetRepository(em, MailBudget);
}
