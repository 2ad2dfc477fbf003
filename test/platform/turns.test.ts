import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as soon } from 'node:timers/promises';
import { Turns } from '../../src/platform/turns.ts';

const NEVER = new AbortController().signal;

describe('Turns', () => {
  /** Work that runs until it is told to end, and notes when it begins. */
  function works() {
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const work = (name: string) => () => {
      begun.push(name);
      const { promise, resolve } = Promise.withResolvers<string>();
      ends.set(name, () => resolve(name));
      return promise;
    };
    const end = async (name: string) => {
      ends.get(name)?.();
      await soon();
    };
    return { begun, work, end };
  }

  it('C17 run one after the other for one key, and at once for others', async () => {
    const { begun, work, end } = works();
    const turns = new Turns(2, 'too many');
    const all = ['a1', 'a2', 'b1', 'a3'].map((name) =>
      turns.take(name.slice(0, 1), NEVER, work(name)),
    );
    await soon();
    assert.deepEqual(begun, ['a1', 'b1']);
    await end('a1');
    assert.deepEqual(begun, ['a1', 'b1', 'a2']);
    await end('a2');
    await end('a3');
    await end('b1');
    assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'b1', 'a3']);
    await end('a1');
    assert.equal(await turns.take('a', NEVER, async () => 'again'), 'again');
  });

  it('C17 are refused beyond the number that may wait, and only then', async () => {
    const { work, end } = works();
    const turns = new Turns(1, 'too many');
    const [one, two] = ['1', '2'].map((name) => turns.take('a', NEVER, work(name)));
    await assert.rejects(turns.take('a', NEVER, work('3')), {
      reason: 'OVERLOADED',
      message: 'too many',
    });
    assert.equal(await turns.take('b', NEVER, async () => 'b'), 'b');
    await end('1');
    await end('2');
    assert.deepEqual(await Promise.all([one, two]), ['1', '2']);
  });

  it('drop a task that gives up, and continue after one that fails', async () => {
    const { begun, work, end } = works();
    const turns = new Turns(3, 'too many');
    const gone = new AbortController();
    const failing = turns.take('a', NEVER, async () => {
      await work('1')();
      throw new Error('failed');
    });
    const failed = assert.rejects(failing, /failed/);
    const left = turns.take('a', gone.signal, work('2'));
    const last = turns.take('a', NEVER, work('3'));
    gone.abort(new Error('gone'));
    await assert.rejects(left, /gone/);
    await end('1');
    await failed;
    assert.deepEqual(begun, ['1', '3']);
    await end('3');
    assert.equal(await last, '3');
    await assert.rejects(turns.take('a', gone.signal, work('4')), /gone/);
  });
});
