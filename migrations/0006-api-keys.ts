import { Migration } from '@mikro-orm/migrations';

/** Adds API keys. Triggers give a key a new version when what its owner may do changes. */
export class ApiKeys extends Migration {
  override up(): void {
    this.#createApiKeys();
    this.#createOwnerTriggers();
  }

  #createApiKeys(): void {
    this.addSql(`
      create table api_keys (
        id uuid primary key,
        account_id uuid,
        service_account_id uuid,
        display_name text not null,
        scopes text[] not null,
        secret_hash bytea not null,
        key_version smallint not null,
        previous_hash bytea,
        previous_key_version smallint,
        previous_expires_at timestamptz,
        allowed_cidrs text[] not null,
        limit_requests int,
        limit_seconds int,
        created_at timestamptz not null,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz,
        last_used_address text,
        version int not null default 1,
        changed_at timestamptz not null default clock_timestamp(),
        constraint api_keys_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade,
        constraint api_keys_service_account_id_foreign
          foreign key (service_account_id) references service_accounts (id) on delete cascade,
        constraint api_keys_owner check ((account_id is null) <> (service_account_id is null))
      ) with (fillfactor = 85)`);
    this.addSql('create index api_keys_account on api_keys (account_id, id)');
    this.addSql('create index api_keys_service_account on api_keys (service_account_id, id)');
    this.addSql('create index api_keys_changed_at on api_keys (changed_at)');
    this.addSql('create index api_keys_expires_at on api_keys (expires_at)');
    this.addSql('create index api_keys_revoked_at on api_keys (revoked_at)');
  }

  #createOwnerTriggers(): void {
    this.addSql(`
      create function note_account_in_api_keys() returns trigger language plpgsql as $$
      begin
        update api_keys set version = version + 1, changed_at = clock_timestamp()
        where account_id = new.id and revoked_at is null;
        return null;
      end $$`);
    this.addSql(`
      create trigger accounts_note_in_api_keys
      after update of state, roles, email_verified_at on accounts for each row
      when (old.state is distinct from new.state or old.roles is distinct from new.roles
        or (old.email_verified_at is null) <> (new.email_verified_at is null))
      execute function note_account_in_api_keys()`);
    this.addSql(`
      create function note_service_account_in_api_keys() returns trigger language plpgsql as $$
      begin
        update api_keys set version = version + 1, changed_at = clock_timestamp()
        where service_account_id = new.id and revoked_at is null;
        return null;
      end $$`);
    this.addSql(`
      create trigger service_accounts_note_in_api_keys
      after update of state, roles on service_accounts for each row
      when (old.state is distinct from new.state or old.roles is distinct from new.roles)
      execute function note_service_account_in_api_keys()`);
  }
}
