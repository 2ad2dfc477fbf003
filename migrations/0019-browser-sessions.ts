import { Migration } from '@mikro-orm/migrations';

/**
 * Adds whether a session's refresh token is kept in a browser's cookie. The function of 0013 takes it
 * from its caller; replicas of an older version don't name it, and open sessions that are not.
 */
export class BrowserSessions extends Migration {
  override up(): void {
    this.addSql('alter table sessions add column in_browser boolean not null default false');
    this.addSql(`
      create or replace function open_session_at_once(
        given jsonb, event jsonb, checked_hash text, needs_verified boolean
      ) returns table (roles text[], token_version int, is_verified boolean)
      language plpgsql as $$
      declare
        owner constant uuid := given->>'account_id';
        is_first boolean;
      begin
        select a.roles, a.token_version, a.email_verified_at is not null, a.last_login_at is null
        into roles, token_version, is_verified, is_first
        from accounts a where a.id = owner and a.state = 'active' for update skip locked;
        if not found or (needs_verified and not is_verified)
          or not exists (select from password_credentials p
            where p.account_id = owner and p.password_hash = checked_hash)
          or exists (select from sign_in_locks l where l.account_id = owner and l.factor = 'password')
          or exists (select from totp_credentials t
            where t.account_id = owner and t.confirmed_at is not null)
          or not (is_first or exists (select from sessions s
            where s.account_id = owner and s.user_agent = given->>'user_agent'
              and s.device_label = given->>'device_label' and s.ip_address = given->>'ip_address'
              and (s.end_cause is null or s.end_cause not in ('account_secured', 'address_proved',
                'refresh_token_reused', 'session_revoked'))))
        then return; end if;
        insert into sessions (id, account_id, device_label, user_agent, ip_address, amr, auth_time,
          created_at, refreshed_at, expires_at, refresh_generation, refresh_hash,
          refresh_key_version, in_browser)
        select s.id, owner, s.device_label, s.user_agent, s.ip_address, s.amr, s.created_at,
          s.created_at, s.created_at, s.expires_at, s.refresh_generation,
          decode(s.refresh_hash, 'hex'), s.refresh_key_version, coalesce(s.in_browser, false)
        from jsonb_to_record(given) as s (id uuid, device_label text, user_agent text,
          ip_address text, amr text[], created_at timestamptz, expires_at timestamptz,
          refresh_generation int, refresh_hash text, refresh_key_version smallint,
          in_browser boolean);
        update accounts set last_login_at = (given->>'created_at')::timestamptz where id = owner;
        insert into audit_events (id, occurred_at, type, actor, actor_type, api_key_id, subject,
          outcome, reason, ip_address, request_id, details, personal)
        select e.id, e.occurred_at, e.type, e.actor, e.actor_type, e.api_key_id, e.subject,
          e.outcome, e.reason, e.ip_address, e.request_id, e.details, e.personal
        from jsonb_to_record(event) as e (id uuid, occurred_at timestamptz, type text, actor uuid,
          actor_type text, api_key_id uuid, subject uuid, outcome text, reason text,
          ip_address text, request_id text, details jsonb, personal text);
        return next;
      end $$`);
  }
}
