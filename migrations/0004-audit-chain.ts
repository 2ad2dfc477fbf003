import { Migration } from '@mikro-orm/migrations';

/**
 * Adds the chain of audit events. Its columns are filled in after an event has been written, also for
 * events that the previous version writes.
 */
export class AuditChain extends Migration {
  override up(): void {
    this.addSql(`
      alter table audit_events
        add column actor_type text,
        add column api_key_id uuid,
        add column personal text,
        add column ip_salt bytea,
        add column ip_hash bytea,
        add column personal_salt bytea,
        add column personal_hash bytea,
        add column position bigint,
        add column hash bytea,
        add column seal bytea`);
    this.addSql(
      'create unique index audit_events_position on audit_events (position) where position is not null',
    );
    this.addSql('create index audit_events_unchained on audit_events (id) where position is null');
    this.addSql('create index audit_events_outcome on audit_events (outcome, id)');

    // Without this the planner does not know that every event waits, and sorts them all for each batch.
    this.addSql('analyze audit_events');

    this.addSql(`
      create table audit_chain (
        id smallint primary key,
        anchor_position bigint not null,
        anchor_hash bytea not null,
        position bigint not null,
        hash bytea not null,
        mac bytea not null,
        key_version smallint not null
      )`);

    this.addSql(`
      create table audit_erasures (
        account_id uuid primary key,
        requested_at timestamptz not null,
        actor_after uuid not null,
        subject_after uuid not null
      )`);
  }
}
