import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { usedFlowsIn } from '../../src/federation/used-flow.repository.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { FakeProvider } from './fake-provider.ts';
import { REDIRECT } from './peer.ts';
import { startFederatedService } from './people.ts';

/** More than go in one batch. */
const EXPIRED = 2500;

describe('Used login tokens', () => {
  it('are forgotten once they have expired, a batch at a time, and no others', async () => {
    const fake = await FakeProvider.start();
    const service = await startFederatedService([fake.settings()]);
    const begin = { provider: 'fake', redirectUri: REDIRECT };
    const { authorizationUrl, loginToken } = await service.auth.startFederatedLogin(begin);
    const claims = { sub: 'one', email: 'one@example.com', email_verified: true };
    const answer = fake.visit(authorizationUrl, { claims });
    await service.auth.finishFederatedLogin({ ...answer, loginToken });
    await sql(
      service.databaseUrl,
      `insert into used_federated_flows
       select gen_random_uuid(), now() - interval '1 hour' from generate_series(1, $1)`,
      [EXPIRED],
    );
    const database = await openDatabase(
      readConfig(service.env, () => ''),
      createLog('silent'),
    );
    atEnd(() => database.close());
    const forget = () => database.read((em) => usedFlowsIn(em).forgetExpired(service.clock.now()));
    const left = async () =>
      (await sql(service.databaseUrl, 'select 1 from used_federated_flows')).length;
    let batches = 1;
    while (await forget()) batches += 1;
    assert.deepEqual([batches, await left()], [3, 1]);
    service.clock.advance(601_000);
    await forget();
    assert.equal(await left(), 0);
  });
});
