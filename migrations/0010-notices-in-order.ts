import { Migration } from '@mikro-orm/migrations';

/**
 * Records when each mailed token was issued, by the database's clock, so that the notices of an account
 * have an order on which all replicas agree. The default also serves a version that does not know it.
 */
export class NoticesInOrder extends Migration {
  override up(): void {
    this.addSql('alter table mailed_tokens add column recorded_at timestamptz');
    this.addSql('alter table mailed_tokens alter column recorded_at set default clock_timestamp()');
  }
}
