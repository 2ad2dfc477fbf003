import { Migration } from '@mikro-orm/migrations';

/** Adds the language of an account's owner. */
export class AccountLocales extends Migration {
  override up(): void {
    this.addSql('alter table accounts add column locale text');
  }
}
