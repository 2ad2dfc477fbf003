import { sql } from './harness/database.ts';

/**
 * The tables, of ours and of the job queue, that hold a text anywhere: as it is, or as the bytes that
 * it is or encodes.
 */
export async function tablesWith(databaseUrl: string, text: string): Promise<string[]> {
  const tables = await sql<{ name: string }>(
    databaseUrl,
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_schema in ('public', 'jobs') and table_type = 'BASE TABLE'`,
  );
  const forms = [
    text,
    Buffer.from(text).toString('hex'),
    Buffer.from(text).toString('base64').replace(/=+$/, ''),
    Buffer.from(text, 'base64url').toString('hex'),
  ];
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await sql(
      databaseUrl,
      `select 1 from ${name} t where exists
       (select 1 from unnest($1::text[]) form where strpos(lower(t::text), lower(form)) > 0) limit 1`,
      [forms.filter((form) => form.length >= 8)],
    );
    if (rows.length > 0) found.push(name);
  }
  return found;
}
