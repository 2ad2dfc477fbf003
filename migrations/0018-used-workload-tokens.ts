import { Migration } from '@mikro-orm/migrations';

/** Adds which tokens of outside issuers have been exchanged. */
export class UsedWorkloadTokens extends Migration {
  override up(): void {
    this.addSql(`
      create table used_workload_tokens (
        token_hash bytea primary key,
        expires_at timestamptz not null
      )`);
    this.addSql(
      'create index used_workload_tokens_expires_at on used_workload_tokens (expires_at)',
    );
  }
}
