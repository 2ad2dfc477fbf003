import { Migration } from '@mikro-orm/migrations';

/**
 * Adds the time of a session's last exchange of refresh tokens, by the database's clock. A trigger sets
 * it when the row is written, so that a version of the program that does not know it sets it too.
 */
export class RotationTimes extends Migration {
  override up(): void {
    this.addSql('alter table sessions add column rotated_at timestamptz');
    this.addSql(`
      create function note_rotation() returns trigger language plpgsql as $$
      begin
        new.rotated_at := clock_timestamp();
        return new;
      end $$`);
    this.addSql(`
      create trigger sessions_note_rotation
      before update of refresh_generation on sessions for each row
      when (old.refresh_generation <> new.refresh_generation)
      execute function note_rotation()`);
  }
}
