import { Migration } from '@mikro-orm/migrations';

/** Adds identities at other providers, and the sign-ins there that have been used up. */
export class Identities extends Migration {
  override up(): void {
    this.addSql(`
      create table identities (
        id uuid primary key,
        account_id uuid not null,
        provider text not null,
        issuer text not null,
        subject text not null,
        email text,
        created_at timestamptz not null,
        last_used_at timestamptz,
        constraint identities_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade,
        constraint identities_issuer_subject unique (issuer, subject)
      )`);
    this.addSql('create index identities_account on identities (account_id)');
    this.addSql(`
      create table used_federated_flows (
        id uuid primary key,
        expires_at timestamptz not null
      )`);
    this.addSql(
      'create index used_federated_flows_expires_at on used_federated_flows (expires_at)',
    );
  }
}
