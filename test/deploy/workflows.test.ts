import assert from 'node:assert/strict';
import { accessSync, constants, globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';

type Step = { uses?: string; run?: string; with?: Record<string, unknown> };
type Workflow = {
  permissions: Record<string, string>;
  jobs: Record<string, { needs?: string | string[]; 'timeout-minutes'?: number; steps: Step[] }>;
};

const FOLDER = '.github/workflows';
const read = (name: string): Workflow => parse(readFileSync(`${FOLDER}/${name}`, 'utf8'));
const stepsOf = ({ jobs }: Workflow) => Object.values(jobs).flatMap(({ steps }) => steps);

describe('workflows', () => {
  const names = globSync('*.yml', { cwd: FOLDER });

  it('name each action with its whole version', () => {
    const used = names.flatMap((name) => stepsOf(read(name)).flatMap(({ uses = [] }) => uses));
    assert.ok(used.length > 10);
    assert.deepEqual(
      used.filter((action) => !/@v\d+\.\d+\.\d+$/.test(action)),
      [],
    );
  });

  it('may do nothing by default but read, and end', () => {
    for (const name of names) {
      const { permissions, jobs } = read(name);
      assert.deepEqual(permissions, { contents: 'read' }, name);
      for (const job of Object.values(jobs)) assert.ok(job['timeout-minutes'], name);
    }
  });

  it('run only scripts that are there', () => {
    const scripts = names.flatMap((name) =>
      stepsOf(read(name)).flatMap(({ run = '' }) => run.match(/^\.ci\/\w+/) ?? []),
    );
    for (const script of scripts) accessSync(script, constants.X_OK);
    assert.deepEqual([...new Set(scripts)].sort(), ['.ci/run', '.ci/security']);
  });

  it('publish nothing before everything has passed, and all of it with its origin', () => {
    const release = read('release.yml');
    const { check, ...publishing } = release.jobs;
    assert.deepEqual(
      check?.steps.flatMap(({ run = '' }) => run.match(/^\.ci\/\w+/) ?? []),
      ['.ci/run', '.ci/security'],
    );
    for (const { needs = [] } of Object.values(publishing))
      assert.ok([needs].flat().includes('check'));
    const image = stepsOf(release).find(({ uses }) =>
      uses?.startsWith('docker/build-push-action@'),
    );
    const { platforms, sbom, provenance } = image?.with ?? {};
    assert.deepEqual([platforms, sbom, provenance], ['linux/amd64,linux/arm64', true, 'mode=max']);
    const commands = stepsOf(release)
      .map(({ run = '' }) => run)
      .join('\n');
    assert.match(commands, /npm publish --provenance/);
    assert.match(commands, /helm push/);
    assert.match(commands, /gh release create .* gen\/countersign\.binpb/);
  });

  it('release packages of one version', () => {
    const version = (folder: string) =>
      JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')).version;
    assert.equal(version('packages/verifier'), version('.'));
  });
});
