import { Migration } from '@mikro-orm/migrations';

/**
 * Numbers the tokens of users and service accounts by how often something was taken from their owner, so
 * that revoking what was issued before needs no clock.
 */
export class TokenVersions extends Migration {
  override up(): void {
    this.addSql('alter table accounts add column token_version int not null default 0');
    this.addSql('alter table service_accounts add column token_version int not null default 0');
    this.addSql('alter table revocations add column below_version int');
  }
}
