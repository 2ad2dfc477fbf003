import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { mailBudgetsIn } from '../../src/mail/mail-budget.repository.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { createAccount } from '../harness/people.ts';
import { startService } from '../harness/service.ts';

/** More than go in one batch. */
const SPENT_LONG_AGO = 2500;

describe('Budgets of mails', () => {
  it('are forgotten once they are whole again, a batch at a time, and no others are', async () => {
    const service = await startService();
    await service.auth.requestPasswordReset({ email: await createAccount(service) });
    await errandsRun(service);
    await sql(
      service.databaseUrl,
      `insert into mail_budgets
       select sha256(i::text::bytea), 'verify_email', now() - interval '1 second'
       from generate_series(1, $1) i`,
      [SPENT_LONG_AGO],
    );
    const database = await openDatabase(
      readConfig(service.env, () => ''),
      createLog('silent'),
    );
    atEnd(() => database.close());
    const forget = () =>
      database.read((em) => mailBudgetsIn(em).forgetUnspent(service.clock.now()));
    let batches = 1;
    while (await forget()) batches += 1;
    assert.equal(batches, 3);
    const left = await sql<{ kind: string }>(service.databaseUrl, 'select kind from mail_budgets');
    assert.deepEqual(left, [{ kind: 'reset_password' }]);
  });
});
