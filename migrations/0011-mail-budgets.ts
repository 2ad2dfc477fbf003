import { Migration } from '@mikro-orm/migrations';

/**
 * Adds the budgets of mails for each recipient, and lets an account have several live links of the same
 * kind: a new one leaves those that were just mailed. Changes of address and sign-in challenges keep one.
 */
export class MailBudgets extends Migration {
  override up(): void {
    this.addSql(`
      create table mail_budgets (
        recipient bytea not null,
        kind text not null
          check (kind in ('address_taken', 'change_email', 'reset_password', 'verify_email')),
        spent_until timestamptz not null,
        primary key (recipient, kind)
      )`);
    this.addSql('create index mail_budgets_spent_until on mail_budgets (spent_until)');
    this.addSql(
      `create unique index mailed_tokens_one_change on mailed_tokens (account_id, purpose)
       where used_at is null and purpose in ('change_email', 'mfa_challenge')`,
    );
    this.addSql('drop index mailed_tokens_one_live');
  }
}
