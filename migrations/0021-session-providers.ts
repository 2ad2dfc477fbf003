import { Migration } from '@mikro-orm/migrations';

/** Adds the identity provider of a sign-in. Replicas of an older version don't name it, and leave it null. */
export class SessionProviders extends Migration {
  override up(): void {
    this.addSql('alter table sessions add column idp text');
  }
}
