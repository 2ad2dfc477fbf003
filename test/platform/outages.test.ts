import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Outages } from '../../src/platform/outages.ts';

const MS = 10_000;
const LOOK_MS = 150;

/** What a replica notes that looks from 0 to `until`, and gets no answer from `down` to `up`. */
function outagesOf(until: number, isDown: (at: number) => boolean): Outages {
  const outages = new Outages();
  for (let at = -LOOK_MS; at <= until; at += LOOK_MS) if (!isDown(at)) outages.noteContact(at);
  return outages;
}

describe('A time that outages lengthen', () => {
  it('S07 is as long as it is without any', () => {
    assert.equal(outagesOf(60_000, () => false).endOf(0, MS, 60_000), MS);
  });

  it('S14 begins again after an outage, however long that was', () => {
    for (const down of [3000, 12_000, 40_000, 3_600_000]) {
      const outages = outagesOf(down + 60_000, (at) => at > 5000 && at < 5000 + down);
      const end = outages.endOf(0, MS, down + 60_000);
      assert.ok(Math.abs(end - (5000 + down + MS)) <= 2 * LOOK_MS, `${end}`);
    }
  });

  it('S14 has not ended while one that began within it lasts', () => {
    const outages = outagesOf(5000, () => false);
    assert.ok(outages.endOf(0, MS, 600_000) >= 600_000);
  });

  it('S07 is not lengthened by one before it, or after it', () => {
    const outages = outagesOf(60_000, (at) => (at > 0 && at < 5000) || at > 40_000);
    assert.equal(outages.endOf(6000, MS, 60_000), 6000 + MS);
  });

  it('S07 ends, however often the database is gone for a moment', () => {
    const [every, down] = [5000, 1500];
    const outages = outagesOf(300_000, (at) => at % every > every - down);
    const end = outages.endOf(0, MS, 300_000);
    const share = (down + 2 * LOOK_MS) / every;
    assert.ok(end * (1 - share) <= 2 * MS, `${end}`);
    assert.ok(end > MS);
  });
});
