import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { person } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { newKey } from './keys.ts';

const GUIDE = readFileSync('docs/api-keys.md', 'utf8');
const run = promisify(execFile);

/** The example that begins with these words. */
function example(fence: string): string {
  const text = GUIDE.split(`\`\`\`${fence}\n`)[1]?.split('```')[0];
  assert.ok(text, fence);
  return text;
}

describe('the guide to API keys', () => {
  let service: Service;
  let secret: string;
  let ownKey: string;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
    const owner = await person(service, 'admin');
    secret = (await newKey(service, owner, { scopes: ['users.read'] })).secret;
    ownKey = (await newKey(service, owner, { scopes: ['api_keys.verify'] })).secret;
  });

  const shell = async (script: string) => {
    const env = {
      ...process.env,
      COUNTERSIGN: `http://${service.app.httpAddress}`,
      OWN_KEY: ownKey,
      KEY: secret,
    };
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { env });
    return JSON.parse(stdout);
  };

  it('has examples for curl that work as they are printed', async () => {
    const verdict = await shell(example('sh curl'));
    assert.deepEqual([verdict.valid, verdict.principal.scopes], [true, ['users.read']]);
    const token = await shell(example('sh exchange'));
    assert.deepEqual([token.tokenType, token.scopes], ['Bearer', ['users.read']]);
  });

  it('says how the checksum is computed, in a way that computes it', async () => {
    const samples = GUIDE.match(/\bcsk_[0-9A-Za-z]{60}\b/g) ?? [];
    assert.equal(samples.length, 1);
    const good = [...samples, secret];
    const bad = good.map((text) => text.replace(/.$/, (last) => (last === '0' ? '1' : '0')));
    const file = join(temporaryDirectory(), 'checksum.mjs');
    writeFileSync(file, example('js checksum'));
    const { isLikeASecret } = await import(file);
    assert.deepEqual([good.every(isLikeASecret), bad.some(isLikeASecret)], [true, false]);
    const python = `${example('py checksum')}
import sys
print([is_like_a_secret(text) for text in sys.argv[1:]])`;
    const { status, stdout, error } = spawnSync('python3', ['-c', python, ...good, ...bad], {
      encoding: 'utf8',
    });
    // Not every machine has Python.
    if (!error) assert.deepEqual([status, stdout.trim()], [0, '[True, True, False, False]']);
  });
});
