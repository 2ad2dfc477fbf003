import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { everyFamily, SCRIPTS, startObserved } from '../metrics/traffic.ts';

const DIRECTORY = 'deploy/observability';
const HAS_PROMTOOL = spawnSync('promtool', ['--version']).status === 0;
const SKIP = HAS_PROMTOOL ? false : 'promtool is not here (Debian: apt-get install prometheus)';

/** What Prometheus makes itself, and what rules record. */
const MADE_THERE = ['up'];
/** Names in an expression that belong to no metric: functions, keywords, labels in lists. */
const NAME = /[a-zA-Z_:][\w:]*/g;

type Target = { expr: string };
type Dashboard = { panels: { title: string; targets?: Target[] }[] };

function panels(): { title: string; expr: string }[] {
  const { panels } = JSON.parse(readFileSync(`${DIRECTORY}/dashboard.json`, 'utf8')) as Dashboard;
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
}

/** The expressions of the rules, which stand behind `expr:`, on one line or on those below it. */
function rules(): string[] {
  const text = readFileSync(`${DIRECTORY}/alerts.yaml`, 'utf8');
  return [...text.matchAll(/^( *)(?:- )?expr: (?:\|\n((?:\1 +.*\n)+)|(.*)\n)/gm)].map(
    ([, , block, line]) => block ?? line ?? '',
  );
}

function recorded(): string[] {
  const text = readFileSync(`${DIRECTORY}/alerts.yaml`, 'utf8');
  return [...text.matchAll(/record: (\S+)/g)].map(([, name = '']) => name);
}

/** The metrics that an expression selects: names before a selector, a range or an end, outside of lists. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '');
  return [...bare.matchAll(NAME)]
    .filter(({ index, 0: name }) => !/^\s*\(/.test(bare.slice(index + name.length)))
    .map(([name]) => name)
    .filter((name) => !['and', 'or', 'unless', 'by', 'on'].includes(name));
}

describe('deploy/observability', () => {
  let names: Set<string>;

  before(async () => {
    const service = await startObserved();
    for (const { run } of SCRIPTS) await run(service);
    const families = await everyFamily(service);
    names = new Set(families.flatMap(({ samples }) => samples.map(({ name }) => name)));
  });

  it('shows only what a service says at /metrics', () => {
    assert.ok(panels().length > 30);
    const unknown = panels().flatMap(({ title, expr }) =>
      metricsIn(expr)
        .filter((name) => !names.has(name))
        .map((name) => `${title}: ${name}`),
    );
    assert.deepEqual(unknown, []);
  });

  it('raises alarms only by what a service says at /metrics', () => {
    const known = new Set([...names, ...MADE_THERE, ...recorded()]);
    assert.ok(rules().length > 15);
    const unknown = rules()
      .flatMap(metricsIn)
      .filter((name) => !known.has(name));
    assert.deepEqual(unknown, []);
  });

  it('shows every metric of ours', () => {
    const text = panels()
      .map(({ expr }) => expr)
      .join('\n');
    const ours = [...names].filter((name) => /^(countersign|rpc)_/.test(name));
    const families = new Set(ours.map((name) => name.replace(/_(bucket|sum|count)$/, '')));
    assert.deepEqual(
      [...families].filter((name) => !text.includes(name)),
      [],
    );
  });

  it('has rules and a configuration that Prometheus takes', { skip: SKIP }, () => {
    assert.equal(promtool('check', 'config', `${DIRECTORY}/prometheus.yaml`), '');
  });

  it('raises each alarm on what it is for, and not on what is near it', { skip: SKIP }, () => {
    assert.equal(promtool('test', 'rules', `${DIRECTORY}/alerts.test.yaml`), '');
  });
});

/** What promtool complains of; empty if it doesn't. */
function promtool(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return status === 0 ? '' : `${stdout}${stderr}`;
}
