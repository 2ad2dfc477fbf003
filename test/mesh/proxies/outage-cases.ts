import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Child, spawnService } from '../../child.ts';
import { atEnd } from '../../harness/at-end.ts';
import { eventually } from '../../harness/eventually.ts';
import { person } from '../../harness/people.ts';
import { MASTER_KEY } from '../../harness/prepared.ts';
import { startReplica } from '../../harness/service.ts';
import { TcpProxy } from '../../tcp-proxy.ts';
import { startProxy } from './proxy.ts';
import { bearer, type Exchange, exchange, portsOf, type Setting } from './setting.ts';

/** A replica as a process of its own, which can be frozen. */
export function spawnReplica(
  { service }: Setting,
  env: Record<string, string> = {},
): Promise<Child> {
  return spawnService({
    DATABASE_URL: service.databaseUrl,
    COUNTERSIGN_MASTER_KEY: MASTER_KEY,
    COUNTERSIGN_ISSUER: 'https://issuer.test',
    COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
    COUNTERSIGN_EXCHANGE_AUDIENCES: 'billing',
    COUNTERSIGN_LOG_LEVEL: 'warn',
    ...env,
  });
}

/** An outage of Countersign is one of the service, and never a refusal (M02, S09). */
export function outageCases(setting: () => Setting): void {
  it('S09 refuses the tokens of a session that ended on another replica', async () => {
    const { service } = setting();
    const victim = await person(service);
    const asked = () => exchange(setting(), { fields: [bearer(victim)] });
    assert.equal((await asked()).answer.status, 200);
    const other = await startReplica(service);
    await other.auth.logout({ refreshToken: victim.refreshToken });
    await eventually(async () => (await asked()).answer.status === 401);
    const { answer, received } = await asked();
    assert.deepEqual([answer.status, received], [401, []]);
  });

  it('M02 answers 503 while Countersign is frozen or gone, and lets nobody in', async () => {
    const child = await spawnReplica(setting());
    const { upstream, boss } = setting();
    const port = await startProxy(setting().name, portsOf(upstream, child));
    const ask = (...fields: [string, string][]) => exchange({ port, upstream }, { fields });
    await eventually(async () => (await ask(bearer(boss))).answer.status === 200);
    const assertDown = ({ answer, received }: Exchange) => {
      assert.ok(answer.status >= 500, `${answer.status} ${answer.body}`);
      assert.deepEqual(received, []);
    };
    // At once, since some proxies wait for long.
    const assertAllDown = async () => {
      const credentials = [[bearer(boss)], [], [['X-Api-Key', 'csk_nobody'] as [string, string]]];
      const exchanges = await Promise.all(credentials.map((fields) => ask(...fields)));
      for (const each of exchanges) assertDown(each);
    };
    child.process.kill('SIGSTOP');
    await assertAllDown();
    child.process.kill('SIGCONT');
    await eventually(async () => (await ask(bearer(boss))).answer.status === 200);
    await child.end('SIGKILL');
    await assertAllDown();
  });
}

/** Memory answers for a while; after that Countersign says that it can't tell. */
export function databaseCases(setting: () => Setting): void {
  it('M02 answers 503 and never 401 once the database has been away for long', async () => {
    const { upstream, boss, service, name } = setting();
    const database = new TcpProxy(service.databaseUrl);
    atEnd(() => database.close());
    const child = await spawnReplica(setting(), {
      DATABASE_URL: await database.listen(service.databaseUrl),
    });
    const port = await startProxy(name, portsOf(upstream, child));
    const ask = () => exchange({ port, upstream }, { fields: [bearer(boss)] });
    await eventually(async () => (await ask()).answer.status === 200);
    database.down();
    const seen = new Set<number>();
    await eventually(async () => {
      const { answer, received } = await ask();
      seen.add(answer.status);
      assert.equal(received.length, answer.status === 200 ? 1 : 0);
      return answer.status === 503;
    }, 60_000);
    assert.deepEqual(
      [...seen].filter((status) => status !== 200),
      [503],
    );
    database.open();
    await eventually(async () => (await ask()).answer.status === 200);
  });
}
