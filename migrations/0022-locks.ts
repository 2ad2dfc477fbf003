import { Migration } from '@mikro-orm/migrations';

/** Adds the rows that transactions lock by name. `countersign migrate` has made the table, for itself. */
export class Locks extends Migration {
  override up(): void {
    this.addSql('create table if not exists locks (name text primary key)');
    this.addSql(`
      insert into locks (name)
      values ('migrations'), ('administrators'), ('roles'), ('signingKeys'), ('webhooks')
      on conflict do nothing`);
  }
}
