import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { smtpTransport } from '../../src/mail/deliver.ts';
import { Breakers, isLeftAlone } from '../../src/platform/breakers.ts';
import { connectRedis } from '../../src/platform/redis.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { MailServer } from '../harness/mail-server.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { TcpProxy } from '../tcp-proxy.ts';

const fails = () => Promise.reject(new Error('away'));
const works = () => Promise.resolve('done');

describe('A circuit breaker', () => {
  const said: string[] = [];
  const note = ({ component, dependency }: Record<string, unknown>, message: string) => {
    if (component === 'breaker') said.push(`${dependency}: ${message}`);
  };
  const log = { debug: note, info: note, warn: note, error: note };
  const opened = (dependency: string) => `${dependency}: left alone: it failed again and again`;
  const closed = (dependency: string) => `${dependency}: answers again`;
  let breakers: Breakers;

  beforeEach(() => {
    breakers = new Breakers(log);
    said.length = 0;
  });

  const state = (dependency: string) => breakers.states().get(dependency);

  /** Fails without asking, as opposed to asking and failing. */
  const isLeft = (work: Promise<unknown>) => work.then(() => false, isLeftAlone);

  it('W13 opens after some faults in a row, asks once after a rest, and says so once', async () => {
    const breaker = breakers.add('it', { faults: 2, restMs: 100 });
    await breaker.run(fails).catch(() => {});
    await breaker.run(works);
    await breaker.run(fails).catch(() => {});
    assert.equal(state('it'), 'closed');
    await breaker.run(fails).catch(() => {});
    assert.equal(state('it'), 'open');
    assert.ok(await isLeft(breaker.run(works)));
    await eventually(() => state('it') === 'half-open');
    await breaker.run(fails).catch(() => {});
    assert.deepEqual(said, [opened('it')]);
    await eventually(() => state('it') === 'half-open');
    const deciding = Promise.withResolvers<string>();
    const question = breaker.run(() => deciding.promise);
    assert.ok(await isLeft(breaker.run(works)));
    deciding.resolve('done');
    assert.equal(await question, 'done');
    assert.equal(await breaker.run(works), 'done');
    assert.equal(state('it'), 'closed');
    assert.deepEqual(said, [opened('it'), closed('it')]);
  });

  it('W13 does not open for errors that are no faults', async () => {
    const breaker = breakers.add('it', { faults: 1, restMs: 60_000, isFault: () => false });
    for (let i = 0; i < 5; i += 1) await assert.rejects(breaker.run(fails), /away/);
    assert.equal(state('it'), 'closed');
  });

  it('W13 shows the worst state of those that share a name, until they are removed', async () => {
    const [one, other] = [1, 2].map(() => breakers.add('many', { faults: 1, restMs: 60_000 }));
    assert.ok(one && other);
    assert.equal(state('many'), 'closed');
    await one.run(fails).catch(() => {});
    assert.equal(state('many'), 'open');
    breakers.remove(one);
    assert.equal(state('many'), 'closed');
    breakers.remove(other);
    assert.equal(breakers.states().size, 0);
  });

  it('W13 leaves Redis alone while it is frozen or down, and uses it again', async () => {
    const proxy = new TcpProxy(REDIS_URL);
    const redis = connectRedis(await proxy.listen(REDIS_URL), log, breakers);
    atEnd(() => {
      redis.disconnect();
      proxy.close();
    });
    const answers = () =>
      redis
        .ping()
        .then((answer) => answer === 'PONG')
        .catch(() => false);
    await eventually(answers);
    await eventually(() => state('redis') === 'closed');
    said.length = 0;
    await assert.rejects(redis.call('no-such-command'), /unknown command/);
    for (const fault of ['freeze', 'down'] as const) {
      proxy[fault]();
      await eventually(() => isLeft(redis.ping()));
      assert.equal(said.at(-1), opened('redis'), fault);
      proxy.open();
      await eventually(answers);
      assert.equal(state('redis'), 'closed', fault);
      assert.equal(said.at(-1), closed('redis'), fault);
    }
    assert.equal(said.length, 4);
  });

  it('W13 leaves a mail server alone while it is down, not if it refuses a mail', async () => {
    const server = new MailServer();
    const url = await server.listen();
    const proxy = new TcpProxy(url);
    const transport = smtpTransport(await proxy.listen(url), breakers);
    atEnd(async () => {
      transport.close();
      proxy.close();
      await server.close();
    });
    const mail = { id: 'x', from: 'a@localhost', subject: 's', text: 't', html: 'h' };
    const signal = new AbortController().signal;
    const deliver = (to = 'b@localhost') => transport.deliver({ ...mail, to }, signal);
    server.refuseFor = 'c@localhost';
    for (let i = 0; i < 4; i += 1) await assert.rejects(deliver('c@localhost'), /not for them/);
    await deliver();
    assert.equal(state('smtp'), 'closed');
    proxy.down();
    await eventually(() => isLeft(deliver()));
    assert.equal(state('smtp'), 'open');
    proxy.open();
    await eventually(() =>
      deliver().then(
        () => true,
        () => false,
      ),
    );
    assert.equal(state('smtp'), 'closed');
    assert.deepEqual(said, [opened('smtp'), closed('smtp')]);
  });
});
