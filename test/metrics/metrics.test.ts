import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { eventually } from '../harness/eventually.ts';
import { newEmail, PASSWORD } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { startReplica } from '../harness/service.ts';
import { type Family, scrape, sumOf } from './scrape.ts';
import type { Expected, Observed } from './scripts/script.ts';
import { everyFamily, SCRIPTS, startObserved } from './traffic.ts';

/** A row of docs/metrics.md: a metric, its type and its labels. */
const ROW = /^\| `(\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|$/gm;
/** The ranges of a histogram. */
const RANGE = 'le';

function documented(): string[] {
  const page = readFileSync('docs/metrics.md', 'utf8');
  return [...page.matchAll(ROW)].map(([, name, type, labels = '']) => {
    const names = [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label);
    return `${name} ${type} ${names.sort()}`;
  });
}

function described({ name, type, samples }: Family): string {
  const labels = new Set(samples.flatMap((each) => Object.keys(each.labels)));
  labels.delete(RANGE);
  return `${name} ${type} ${[...labels].sort()}`;
}

const LOGINS_A_MINUTE = 30;

type Families = Map<string, Family>;

/** What is not as a script expects. */
function wrongIn(expected: readonly Expected[], before: Families, after: Families): unknown[] {
  return expected
    .map(([name, labels, wanted]) => {
      const [then, got] = [sumOf(before, name, labels) || 0, sumOf(after, name, labels)];
      const isRight = typeof wanted === 'number' ? got - then === wanted : wanted(got);
      return { isRight, name, labels, then, wanted, got };
    })
    .filter(({ isRight }) => !isRight);
}

describe('metrics', () => {
  let service: Observed;

  before(async () => {
    service = await startObserved();
  });

  for (const { does, run } of SCRIPTS) {
    it(does, async () => {
      const start = await scrape(service);
      const expected = await run(service);
      let wrong: unknown[] = [];
      const isRight = async () => {
        wrong = wrongIn(expected, start, await scrape(service));
        return wrong.length === 0;
      };
      await eventually(isRight).catch(() => {});
      assert.deepEqual(wrong, []);
    });
  }

  it('count what limits by address let through, and what not', async () => {
    const limited = await startReplica(service, {
      env: { COUNTERSIGN_RATE_LIMITS: 'on', REDIS_URL: '' },
    });
    const attempt = () => refusal(limited.auth.login({ email: newEmail(), password: PASSWORD }));
    await Promise.all(Array.from({ length: LOGINS_A_MINUTE + 2 }, attempt));
    const families = await scrape(limited);
    const decisions = (decision: string) =>
      sumOf(families, 'countersign_rate_limit_decisions_total', {
        policy: 'credentials',
        decision,
      });
    assert.deepEqual([decisions('allowed'), decisions('limited')], [LOGINS_A_MINUTE, 2]);
  });

  it('are those that docs/metrics.md lists, each with its type and labels', async () => {
    const families = await everyFamily(service);
    assert.deepEqual(families.map(described).sort(), documented().sort());
  });

  it('name nobody and nothing by a label: no id, no address, no URL', async () => {
    const families = [...(await scrape(service)).values()];
    const values = families
      .flatMap((each) => each.samples)
      .flatMap(({ labels }) => Object.entries(labels))
      .filter(([name]) => !['rpc_method', 'version', 'node_version', RANGE].includes(name));
    for (const [name, value] of values) assert.match(value, /^[\w .:-]{0,40}$/, `${name}=${value}`);
    const ids = values.filter(([, value]) => /[\da-f]{8}-[\da-f]{4}|@|\/\/|(\d+\.){3}/.test(value));
    assert.deepEqual(ids, []);
  });

  it('have at most a few hundred lines for each name, whatever callers send', async () => {
    for (const { name, samples } of (await scrape(service)).values()) {
      assert.ok(samples.length < 500, `${name} has ${samples.length}`);
    }
  });
});
