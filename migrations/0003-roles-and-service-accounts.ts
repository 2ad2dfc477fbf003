import { Migration } from '@mikro-orm/migrations';

/**
 * Adds permissions, roles and service accounts, marks invited accounts, and indexes accounts for
 * searching, filtering and ordering. The owner of a database may create the extension.
 */
export class RolesAndServiceAccounts extends Migration {
  override up(): void {
    this.addSql(`
      create table permissions (
        name text primary key,
        description text not null,
        built_in boolean not null,
        created_at timestamptz not null
      )`);

    this.addSql(`
      create table roles (
        name text primary key,
        description text not null,
        built_in boolean not null,
        permissions text[] not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        deleted_at timestamptz
      )`);

    this.addSql(`
      create table service_accounts (
        id uuid primary key,
        display_name text not null,
        description text not null,
        roles text[] not null,
        state text not null check (state in ('active', 'suspended', 'deleted')),
        created_at timestamptz not null,
        updated_at timestamptz not null
      )`);
    this.addSql('create index service_accounts_roles on service_accounts using gin (roles)');

    this.addSql('alter table accounts add column invited_at timestamptz');

    this.addSql('create extension if not exists pg_trgm');
    for (const [name, definition] of Object.entries(ACCOUNT_INDEXES)) {
      this.addSql(`create index ${name} on accounts ${definition}`);
    }
  }
}

const ACCOUNT_INDEXES = {
  accounts_email_search: 'using gin (canonical_email gin_trgm_ops)',
  accounts_name_search: 'using gin (lower(display_name) gin_trgm_ops)',
  accounts_roles: 'using gin (roles)',
  accounts_suspended: `(id) where state = 'suspended'`,
  accounts_created_at: '(created_at, id)',
  accounts_last_login_at: `(coalesce(last_login_at, '-infinity'::timestamptz), id)`,
};
