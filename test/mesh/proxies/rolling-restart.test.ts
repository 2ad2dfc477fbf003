import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd } from '../../harness/at-end.ts';
import { eventually } from '../../harness/eventually.ts';
import { ROLLING_RESTARTS } from '../../harness/scale.ts';
import { freePort } from '../../servers.ts';
import { spawnReplica } from './outage-cases.ts';
import { skipOf, startProxy } from './proxy.ts';
import { type Answer, send } from './send.ts';
import { bearer, portsOf, type Setting, startSetting } from './setting.ts';

const PER_SECOND = 250;

/** Sends requests at an even pace until it is stopped, whether or not they are answered. */
function startRequests(port: number, fields: [string, string][]) {
  const answers: Promise<Answer>[] = [];
  const began = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * PER_SECOND;
    while (answers.length < due) answers.push(send(port, { fields }));
  }, 4);
  atEnd(() => clearInterval(timer));
  return async () => {
    clearInterval(timer);
    return (await Promise.all(answers)).map(({ status }) => status);
  };
}

/** Two replicas with ports of their own, and how to restart one of them. */
async function startReplicas(setting: Setting) {
  const start = async (env: Record<string, string>) => spawnReplica(setting, env);
  const fixed = async () => ({
    COUNTERSIGN_GRPC_ADDR: `127.0.0.1:${await freePort()}`,
    COUNTERSIGN_HTTP_ADDR: `127.0.0.1:${await freePort()}`,
  });
  const environments = [await fixed(), await fixed()] as const;
  const replicas = [await start(environments[0]), await start(environments[1])] as const;
  const running = [...replicas];
  const restart = async (place: 0 | 1) => {
    assert.equal(await running[place]?.end(), 0);
    running[place] = await start(environments[place]);
  };
  return { ports: portsOf(setting.upstream, ...replicas), restart };
}

describe('A service behind Envoy by gRPC, in a rolling restart of two replicas', () => {
  const isShort = ROLLING_RESTARTS === 0 && 'needs `npm run test:long`, and a machine of its own';
  const skip = isShort || skipOf('Envoy by gRPC');

  it('M02 loses none of 250 requests a second', { skip }, async () => {
    const setting = await startSetting('Envoy by gRPC');
    const { ports, restart } = await startReplicas(setting);
    const port = await startProxy('Envoy by gRPC', ports);
    const fields = [bearer(setting.boss)];
    await eventually(async () => (await send(port, { fields })).status === 200);
    const stop = startRequests(port, fields);
    for (let round = 0; round < ROLLING_RESTARTS; round += 1) {
      for (const place of [0, 1] as const) {
        await sleep(2000);
        await restart(place);
        // Until Envoy has found it again, there is only one to take away.
        await sleep(2000);
      }
    }
    const statuses = await stop();
    const failed = statuses.filter((status) => status !== 200);
    process.stderr.write(`${failed.length} of ${statuses.length} requests failed\n`);
    assert.deepEqual(failed, []);
  });
});
