import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';

/** Only what a clone has: the modules of the schema, and no packages of npm. */
let clone: string;

before(() => {
  clone = mkdtempSync(join(tmpdir(), 'countersign-proto-'));
  for (const name of ['proto', 'third_party', 'test/proto', 'buf.yaml']) {
    cpSync(name, join(clone, name), { recursive: true });
  }
});

after(() => rmSync(clone, { recursive: true, force: true }));

function run(command: string, ...args: string[]) {
  return spawnSync(command, args, { cwd: clone, encoding: 'utf8', timeout: 60_000 });
}

const buf = resolve('node_modules/.bin/buf');
const files = globSync('countersign/v1/*.proto', { cwd: 'proto' }).sort();

describe('the schema in a fresh clone, without npm', () => {
  it('builds by buf, all modules of it', () => {
    const { status, stderr } = run(buf, 'build');
    assert.equal(status, 0, stderr);
  });

  it('is exported with all that it imports', () => {
    const { status, stderr } = run(buf, 'export', 'proto', '-o', 'exported');
    assert.equal(status, 0, stderr);
    const exported = globSync('exported/**/*.proto', { cwd: clone });
    for (const file of files) assert.ok(exported.includes(`exported/${file}`), file);
    for (const file of ['google/api/field_behavior.proto', 'buf/validate/validate.proto']) {
      assert.ok(exported.includes(`exported/${file}`), file);
    }
  });

  it('is read by protoc of version 22 or newer', (t) => {
    const version = /libprotoc (\d+)/.exec(run('protoc', '--version').stdout ?? '')?.[1];
    if (Number(version ?? 0) < 22) return t.skip('protoc 22 or newer is not installed');
    const paths = ['-I', 'proto', '-I', 'third_party', '-I', 'third_party/envoy'];
    const { status, stderr } = run('protoc', ...paths, '-o', '/dev/null', ...files);
    assert.equal(status, 0, stderr);
  });

  it('names its packages for every language in each file', () => {
    for (const file of files) {
      const text = readFileSync(join('proto', file), 'utf8');
      for (const option of [
        'go_package',
        'java_package',
        'java_multiple_files',
        'csharp_namespace',
      ]) {
        assert.match(text, new RegExp(`^option ${option} = `, 'm'), `${file}: ${option}`);
      }
    }
  });
});
