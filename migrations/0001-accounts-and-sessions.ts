import { Migration } from '@mikro-orm/migrations';

/**
 * Creates the first tables: accounts and their passwords, mailed tokens, sessions, revocations, signing
 * keys and audit events.
 */
export class AccountsAndSessions extends Migration {
  override up(): void {
    this.#createAccounts();
    this.#createMailedTokens();
    this.#createSessions();
    this.#createRevocations();
    this.#createSigningKeys();
    this.#createAuditEvents();
  }

  #createAccounts(): void {
    this.addSql(`
      create table accounts (
        id uuid primary key,
        email text not null,
        canonical_email text not null,
        display_name text not null,
        state text not null check (state in ('active', 'suspended', 'deleted')),
        email_verified_at timestamptz,
        roles text[] not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        last_login_at timestamptz
      )`);
    this.addSql(
      `create unique index accounts_live_email on accounts (canonical_email) where state <> 'deleted'`,
    );

    this.addSql(`
      create table password_credentials (
        account_id uuid primary key,
        password_hash text not null,
        changed_at timestamptz not null,
        constraint password_credentials_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);
  }

  #createMailedTokens(): void {
    this.addSql(`
      create table mailed_tokens (
        id uuid primary key,
        account_id uuid not null,
        purpose text not null check (purpose in ('verify_email')),
        secret_hash bytea not null,
        key_version smallint not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        constraint mailed_tokens_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);
    this.addSql('create index mailed_tokens_account on mailed_tokens (account_id)');
    this.addSql('create index mailed_tokens_expires_at on mailed_tokens (expires_at)');
    this.addSql(
      'create unique index mailed_tokens_live on mailed_tokens (account_id, purpose) where used_at is null',
    );
  }

  #createSessions(): void {
    this.addSql(`
      create table sessions (
        id uuid primary key,
        account_id uuid not null,
        device_label text not null,
        user_agent text not null,
        ip_address text not null,
        amr text[] not null,
        auth_time timestamptz not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        ended_at timestamptz,
        end_cause text,
        refresh_generation int not null,
        refresh_hash bytea not null,
        refresh_key_version smallint not null,
        refreshed_at timestamptz not null,
        constraint sessions_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      ) with (fillfactor = 85)`);
    this.addSql('create index sessions_account on sessions (account_id)');
    this.addSql('create index sessions_expires_at on sessions (expires_at)');
  }

  #createRevocations(): void {
    this.addSql(`
      create table revocations (
        id uuid primary key,
        kind text not null check (kind in ('session')),
        target text not null,
        cause text not null,
        created_at timestamptz not null default clock_timestamp(),
        expires_at timestamptz not null
      )`);
    this.addSql('create index revocations_created_at on revocations (created_at)');
    this.addSql('create index revocations_expires_at on revocations (expires_at)');
  }

  #createSigningKeys(): void {
    this.addSql(`
      create table signing_keys (
        id text primary key,
        algorithm text not null check (algorithm in ('ES256', 'EdDSA', 'RS256')),
        state text not null check (state in ('next', 'active', 'retired')),
        public_jwk jsonb not null,
        private_sealed bytea not null,
        created_at timestamptz not null,
        activated_at timestamptz,
        retired_at timestamptz
      )`);
    this.addSql(
      `create unique index signing_keys_one_active on signing_keys (state) where state = 'active'`,
    );
    this.addSql(
      `create unique index signing_keys_one_next on signing_keys (state) where state = 'next'`,
    );
  }

  #createAuditEvents(): void {
    this.addSql(`
      create table audit_events (
        id uuid primary key,
        occurred_at timestamptz not null,
        type text not null,
        actor uuid,
        subject uuid,
        outcome text not null check (outcome in ('success', 'failure')),
        reason text,
        ip_address text,
        request_id text not null,
        details jsonb not null
      )`);
    this.addSql('create index audit_events_subject on audit_events (subject, id)');
    this.addSql('create index audit_events_actor on audit_events (actor, id)');
    this.addSql('create index audit_events_type on audit_events (type, id)');
  }
}
