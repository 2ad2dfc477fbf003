import assert from 'node:assert/strict';
import { it } from 'node:test';
import { newKey } from '../../api-keys/keys.ts';
import { eventually } from '../../harness/eventually.ts';
import { startReplica } from '../../harness/service.ts';
import type { Change } from './proxy.ts';
import { bearer, exchange, portsOf, type Setting, startChanged } from './setting.ts';

export type CallerOptions = {
  /** Gives the example a key of its own, as its comment says. */
  withKey: (key: string) => Change;
};

/** Who may ask (A07). */
export function callerCases(setting: () => Setting, { withKey }: CallerOptions): void {
  it('A07 is reached by a proxy that has a key, where no address is trusted', async () => {
    const { service, upstream, boss, key } = setting();
    const strict = await startReplica(service, { env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
    const ports = portsOf(upstream, strict.app);
    const { secret } = await newKey(service, boss, { scopes: ['tokens.introspect'] });
    const start = (change: Change) => startChanged({ ...setting(), ports }, change);
    const known = await start(withKey(secret));
    const ask = (port: number, ...fields: [string, string][]) =>
      exchange({ port, upstream }, { fields });
    await eventually(async () => (await ask(known.port, bearer(boss))).answer.status === 200);
    assert.equal((await ask(known.port)).answer.status, 401);

    const nameless = await start((text) => text);
    const powerless = await start(withKey(key));
    for (const { port } of [nameless, powerless]) {
      // Not even by a client who brings the proxy's key.
      for (const more of [[], [['X-Countersign-Caller', `Bearer ${secret}`] as [string, string]]]) {
        const { answer, received } = await ask(port, bearer(boss), ...more);
        assert.ok(answer.status === 403 || answer.status >= 500, String(answer.status));
        assert.deepEqual(received, []);
      }
    }
  });
}
