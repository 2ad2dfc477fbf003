import { Migration } from '@mikro-orm/migrations';

/**
 * Adds revoked signing keys. They have a table of their own, so that no reader of `signing_keys` ever
 * finds one.
 */
export class RevokedSigningKeys extends Migration {
  override up(): void {
    this.addSql(`
      create table revoked_signing_keys (
        id text primary key,
        algorithm text not null check (algorithm in ('ES256', 'EdDSA', 'RS256')),
        public_jwk jsonb not null,
        created_at timestamptz not null,
        activated_at timestamptz,
        retired_at timestamptz,
        revoked_at timestamptz not null,
        reason text not null
      )`);
    this.addSql(
      'create index revoked_signing_keys_revoked_at on revoked_signing_keys (revoked_at)',
    );
  }
}
