import { Migration } from '@mikro-orm/migrations';

/**
 * Adds second factors, passkeys, sign-in locks and password histories, and allows more kinds of mailed
 * tokens and revocations.
 */
export class SecondFactorsAndPasskeys extends Migration {
  override up(): void {
    this.#extendMailedTokens();
    this.#extendRevocations();
    this.#createPasswordHistory();
    this.#createSignInLocks();
    this.#createSecondFactors();
    this.#createPasskeys();
  }

  #extendMailedTokens(): void {
    this.addSql('alter table mailed_tokens add column details jsonb');
    this.addSql('alter table mailed_tokens drop constraint mailed_tokens_purpose_check');
    this.addSql(
      `alter table mailed_tokens add constraint mailed_tokens_purpose_check check (purpose in
       ('verify_email', 'reset_password', 'change_email', 'secure_account', 'mfa_challenge'))`,
    );
    this.addSql(
      `create unique index mailed_tokens_one_live on mailed_tokens (account_id, purpose)
       where used_at is null and purpose <> 'secure_account'`,
    );
    this.addSql('drop index mailed_tokens_live');
  }

  #extendRevocations(): void {
    this.addSql('alter table revocations add column not_before timestamptz');
    this.addSql('alter table revocations drop constraint revocations_kind_check');
    this.addSql(
      `alter table revocations add constraint revocations_kind_check check (kind in
       ('session', 'token', 'subject', 'api_key', 'signing_key'))`,
    );
  }

  #createPasswordHistory(): void {
    this.addSql(`
      create table password_history (
        id uuid primary key,
        account_id uuid not null,
        password_hash text not null,
        created_at timestamptz not null,
        constraint password_history_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);
    this.addSql('create index password_history_account on password_history (account_id, id)');
  }

  #createSignInLocks(): void {
    this.addSql(`
      create table sign_in_locks (
        account_id uuid not null,
        factor text not null check (factor in ('password', 'code')),
        failures int not null,
        locked_until timestamptz,
        primary key (account_id, factor),
        constraint sign_in_locks_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);
  }

  #createSecondFactors(): void {
    this.addSql(`
      create table totp_credentials (
        account_id uuid primary key,
        secret_sealed bytea not null,
        created_at timestamptz not null,
        confirmed_at timestamptz,
        last_step int not null,
        constraint totp_credentials_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);

    this.addSql(`
      create table recovery_codes (
        id uuid primary key,
        account_id uuid not null,
        code_hash bytea not null,
        key_version smallint not null,
        used_at timestamptz,
        constraint recovery_codes_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);
    this.addSql('create index recovery_codes_account on recovery_codes (account_id)');
  }

  #createPasskeys(): void {
    this.addSql(`
      create table passkeys (
        id uuid primary key,
        account_id uuid not null,
        credential_id text not null,
        public_key bytea not null,
        counter bigint not null,
        transports text[] not null,
        synced boolean not null,
        display_name text not null,
        created_at timestamptz not null,
        last_used_at timestamptz,
        constraint passkeys_account_id_foreign
          foreign key (account_id) references accounts (id) on delete cascade
      )`);
    this.addSql('create index passkeys_account on passkeys (account_id)');
    this.addSql('create unique index passkeys_credential_id on passkeys (credential_id)');

    this.addSql(`
      create table used_passkey_challenges (
        challenge_hash bytea primary key,
        expires_at timestamptz not null
      )`);
    this.addSql(
      'create index used_passkey_challenges_expires_at on used_passkey_challenges (expires_at)',
    );
  }
}
