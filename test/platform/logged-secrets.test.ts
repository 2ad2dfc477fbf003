import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';

const PREFIX = 8;

/** Runs after all others: test/run.ts sees to that. */
describe('the logs of the whole suite', () => {
  const directory = process.env['COUNTERSIGN_TEST_DIRECTORY'];
  let logs: string;
  let secrets: Set<string>;

  before(() => {
    const read = (pattern: string) =>
      globSync(`${directory}/${pattern}`).map((file) => readFileSync(file, 'utf8'));
    logs = read('*.log').join('');
    const lines = read('*.secrets').flatMap((text) => text.split('\n').filter(Boolean));
    secrets = new Set(lines.map((line) => JSON.parse(line) as string));
  });

  it('W09 hold none of the passwords, tokens and keys that it used', (t) => {
    if (secrets.size === 0) return t.skip('no other test has run');
    assert.ok(logs.length > 0);
    assert.deepEqual(leaked(logs, secrets), []);
  });

  it('W09 would show a secret that was logged', () => {
    assert.deepEqual(leaked('{"a":"xx hunter2-hunter2 yy"}', new Set(['hunter2-hunter2'])), [
      'hunter2-hunter2',
    ]);
  });

  it('W09 hold no query string', () => {
    assert.doesNotMatch(logs, /\?[\w.-]+=/);
  });

  it('W09 are JSON lines with request id, method, code, duration and principal for each call', () => {
    const calls = logs
      .split('\n')
      .filter((line) => line.includes('"msg":"call"'))
      .map((line) => JSON.parse(line));
    for (const call of calls) {
      assert.equal(typeof call.request_id, 'string');
      // If the method is unknown, or not looked up, it is logged by the name that its caller used.
      const isNamedByCaller = call.code === 'UNIMPLEMENTED' || call.reason === 'REQUEST_TOO_LARGE';
      if (isNamedByCaller) assert.equal(typeof call.method, 'string');
      else assert.match(call.method, /^[\w./]+$/);
      assert.match(call.code, /^[A-Z_]+$/);
      assert.equal(typeof call.duration_ms, 'number');
    }
  });
});

/** The secrets that are anywhere in a text. One pass, however many secrets there are. */
function leaked(text: string, secrets: ReadonlySet<string>): string[] {
  const byPrefix = Map.groupBy(secrets, (secret) => secret.slice(0, PREFIX));
  const found = new Set<string>();
  for (let at = 0; at + PREFIX <= text.length; at += 1) {
    for (const secret of byPrefix.get(text.slice(at, at + PREFIX)) ?? []) {
      if (text.startsWith(secret, at)) found.add(secret);
    }
  }
  return [...found];
}
