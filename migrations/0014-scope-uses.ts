import { Migration } from '@mikro-orm/migrations';

/** Adds which scopes API keys use, and what shadow mode would have denied. */
export class ScopeUses extends Migration {
  override up(): void {
    this.addSql(`
      create table scope_uses (
        api_key_id uuid not null,
        scope text not null,
        used_on date[] not null,
        missing_on date[] not null,
        noted_on date not null,
        primary key (api_key_id, scope),
        constraint scope_uses_api_key_id_foreign
          foreign key (api_key_id) references api_keys (id) on delete cascade
      ) with (fillfactor = 85)`);
    this.addSql('create index scope_uses_noted_on on scope_uses (noted_on)');
    // For keys that exist already, the moment from which on their scopes are noted.
    this.addSql(
      'alter table api_keys add column observed_since timestamptz not null default now()',
    );
    this.addSql(`
      create table shadow_denials (
        id uuid primary key,
        rule text not null,
        reason text not null,
        subject text not null,
        api_key_id text not null,
        count bigint not null,
        first_at timestamptz not null,
        last_at timestamptz not null,
        constraint shadow_denials_what unique (rule, reason, subject, api_key_id)
      )`);
    this.addSql('create index shadow_denials_subject on shadow_denials (subject)');
    this.addSql('create index shadow_denials_last_at on shadow_denials (last_at)');
  }
}
