import { BREACHED_PASSWORDS } from './breached-passwords.ts';
import { CERTIFICATE } from './certificate.ts';
import { CLOCK } from './clock.ts';
import { CONNECTIONS } from './connections.ts';
import { EMBEDDED } from './embedded.ts';
import { ANY_CHECK, type Sentences } from './finding.ts';
import { MASTER_KEY } from './master-key.ts';
import { MIGRATIONS } from './migrations.ts';
import { POSTGRESQL } from './postgresql.ts';
import { POSTGRESQL_FAILURES } from './postgresql-failure.ts';
import { PROVIDERS } from './providers.ts';
import { REDIS } from './redis.ts';
import { REPLICATION } from './replication.ts';
import { SIGNING_KEYS } from './signing-keys.ts';
import { SMTP } from './smtp.ts';
import { WEBHOOKS } from './webhooks.ts';
import { WORKLOAD_ISSUERS } from './workload-issuers.ts';

/** The sentences of all checks, under the headings of docs/doctor.md. */
const GROUPS: readonly (readonly [heading: string, sentences: Sentences])[] = [
  ['PostgreSQL: why it can not be used', POSTGRESQL_FAILURES],
  ['PostgreSQL: the server, and what stands in front of it', POSTGRESQL],
  ['Replication', REPLICATION],
  ['Connections', CONNECTIONS],
  ['Clock', CLOCK],
  ['Migrations', MIGRATIONS],
  ['Signing keys', SIGNING_KEYS],
  ['Webhooks', WEBHOOKS],
  ['Master key', MASTER_KEY],
  ['The embedded database', EMBEDDED],
  ['Redis', REDIS],
  ['Mail', SMTP],
  ['Certificate', CERTIFICATE],
  ['Identity providers', PROVIDERS],
  ['Outside issuers of workload tokens', WORKLOAD_ISSUERS],
  ['Breached passwords', BREACHED_PASSWORDS],
  ['Any of them', ANY_CHECK],
];

/** Every sentence that `countersign doctor` may print, in Markdown: the second half of docs/doctor.md. */
export function sentencesPage(): string {
  return GROUPS.map(([heading, sentences]) => `### ${heading}\n\n${table(sentences)}`).join('\n');
}

function table(sentences: Sentences): string {
  const rows = Object.entries(sentences).map(
    ([code, { state, says, todo }]) =>
      `| \`${code}\` | ${state} | ${cell(says)} | ${cell(todo ?? '')} |\n`,
  );
  return `| code | state | what it says | what to do |\n|---|---|---|---|\n${rows.join('')}`;
}

/** Values are shown as what they stand for. */
function cell(text: string): string {
  return text.replace(/\{(\w+)\}/g, '*$1*');
}
