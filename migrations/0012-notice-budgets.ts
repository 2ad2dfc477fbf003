import { Migration } from '@mikro-orm/migrations';

/** Adds a budget of notices for each recipient. */
export class NoticeBudgets extends Migration {
  override up(): void {
    this.addSql('alter table mail_budgets drop constraint mail_budgets_kind_check');
    this.addSql(`
      alter table mail_budgets add constraint mail_budgets_kind_check check
        (kind in ('address_taken', 'change_email', 'notice', 'reset_password', 'verify_email'))`);
  }
}
