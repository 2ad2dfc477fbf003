import { Migration } from '@mikro-orm/migrations';

/** Adds the id under which another system knows an account that was imported from it. */
export class ExternalIds extends Migration {
  override up(): void {
    this.addSql('alter table accounts add column external_id text');
    this.addSql(
      `create unique index accounts_live_external_id on accounts (external_id) where state <> 'deleted'`,
    );
  }
}
