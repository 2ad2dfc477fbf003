import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as soon } from 'node:timers/promises';
import { FairLane } from '../../src/platform/fair-lane.ts';

const NEVER = new AbortController().signal;

describe('A fair lane', () => {
  /** A lane, what it has run, by name, and the names of those whom it has refused. */
  function started(places: number) {
    const lane = new FairLane(places, 'too many');
    const [done, refused]: [string[], string[]] = [[], []];
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const come = (name: string, signal = NEVER) =>
      lane
        .run(name.slice(0, 1), signal, async () => {
          await opened;
          done.push(name);
        })
        .catch(({ reason = 'gone' }) => {
          refused.push(`${name} ${reason}`);
        });
    return { come, done, refused, open, lane };
  }

  it('C12 lets different keys take turns', async () => {
    const { come, done, open } = started(9);
    const all = ['a0', 'a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((name) => come(name));
    open();
    await Promise.all(all);
    assert.deepEqual(done, ['a0', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('C12 gives a newcomer the last place of the key that has the most', async () => {
    const { come, done, refused, open } = started(4);
    const names = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'b3', 'c1', 'd1', 'e1'];
    const all = names.map((name) => come(name));
    await soon();
    assert.deepEqual(refused.sort(), [
      'a2 OVERLOADED',
      'a3 OVERLOADED',
      'a4 OVERLOADED',
      'a5 OVERLOADED',
      'b2 OVERLOADED',
      'b3 OVERLOADED',
      'e1 OVERLOADED',
    ]);
    open();
    await Promise.all(all);
    assert.deepEqual(done, ['a0', 'a1', 'b1', 'c1', 'd1']);
  });

  it('drops a task that gives up, and continues after one that fails', async () => {
    const { come, done, refused, open, lane } = started(4);
    const gone = new AbortController();
    const first = come('a0');
    const left = come('a1', gone.signal);
    const failed = assert.rejects(
      lane.run('b', NEVER, async () => {
        throw new Error('failed');
      }),
      /failed/,
    );
    const last = come('c1');
    gone.abort(new Error('gone'));
    open();
    await Promise.all([first, left, failed, last]);
    assert.deepEqual([done, refused], [['a0', 'c1'], ['a1 gone']]);
    await come('d1');
    assert.deepEqual(done, ['a0', 'c1', 'd1']);
  });
});
