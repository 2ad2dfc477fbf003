import { Migration } from '@mikro-orm/migrations';

/** By which name another system knows an account that was imported from it. */
export class Migration20261122000004 extends Migration {
  override up(): void {
    this.addSql('alter table accounts add column external_id text');
    this.addSql(
      `create unique index accounts_live_external_id on accounts (external_id) where state <> 'deleted'`,
    );
  }
}
