import { Migration } from '@mikro-orm/migrations';

/** Adds webhooks, their messages and deliveries, and how far the chain has been handed to them. */
export class Webhooks extends Migration {
  override up(): void {
    this.addSql(`
      create table webhooks (
        id uuid primary key,
        display_name text not null,
        url text not null,
        event_types text[] not null,
        state text not null check (state in ('enabled', 'paused', 'disabled')),
        disabled_reason text null check (disabled_reason in ('requested', 'gone', 'failing')),
        secret bytea not null,
        previous_secret bytea null,
        previous_until timestamptz null,
        failing_since timestamptz null,
        pause_until timestamptz null,
        leased_by uuid null,
        leased_until timestamptz null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        deleted_at timestamptz null
      ) with (fillfactor = 70)`);
    this.addSql(`
      create table webhook_messages (
        id uuid primary key,
        type text not null,
        payload bytea not null,
        created_at timestamptz not null
      )`);
    this.addSql('create index webhook_messages_created_at on webhook_messages (created_at)');
    this.addSql(`
      create table webhook_deliveries (
        webhook_id uuid not null,
        message_id uuid not null,
        state text not null check (state in ('pending', 'succeeded', 'failed')),
        created_at timestamptz not null,
        next_attempt_at timestamptz null,
        retry_step smallint not null,
        hurried boolean not null default false,
        attempt_count int not null,
        attempts jsonb not null,
        primary key (webhook_id, message_id),
        constraint webhook_deliveries_webhook_id_foreign
          foreign key (webhook_id) references webhooks (id) on delete cascade,
        constraint webhook_deliveries_message_id_foreign
          foreign key (message_id) references webhook_messages (id) on delete cascade
      ) with (fillfactor = 85)`);
    this.addSql('create index webhook_deliveries_message_id on webhook_deliveries (message_id)');
    this.addSql(
      'create index webhook_deliveries_state on webhook_deliveries (webhook_id, state, message_id)',
    );
    this.addSql(
      "create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_attempt_at, message_id) where state = 'pending'",
    );
    this.addSql(`
      create table webhook_replays (
        id uuid primary key,
        webhook_id uuid not null,
        starts_at timestamptz not null,
        ends_at timestamptz not null,
        after_event uuid not null,
        constraint webhook_replays_webhook_id_foreign
          foreign key (webhook_id) references webhooks (id) on delete cascade
      )`);
    this.addSql('create index webhook_replays_webhook_id on webhook_replays (webhook_id)');
    this.addSql('create table webhook_fan_out (id smallint primary key, position bigint not null)');
    // There is no webhook yet that earlier events could be for.
    this.addSql(`
      insert into webhook_fan_out
      select 1, coalesce((select position from audit_chain where id = 1), 0)`);
  }
}
