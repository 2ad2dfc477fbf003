import { Migration } from '@mikro-orm/migrations';

/**
 * Records when each mailed token was issued, by the database's clock, so that the notices of an account
 * have an order on which all replicas agree. Keeps the time at which an account's owner first proved an
 * address, and counts the sign-ups before that. The defaults also serve a version that does not know them.
 */
export class NoticesAndProofs extends Migration {
  override up(): void {
    this.addSql('alter table mailed_tokens add column recorded_at timestamptz');
    this.addSql('alter table mailed_tokens alter column recorded_at set default clock_timestamp()');
    this.addSql('alter table accounts add column first_verified_at timestamptz');
    this.addSql('alter table accounts add column sign_ups int not null default 0');
  }
}
