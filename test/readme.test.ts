import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { spawnService } from './child.ts';
import { atEnd } from './harness/at-end.ts';
import { embeddedDirectory } from './harness/embedded-database.ts';
import { temporaryDirectory } from './harness/prepared.ts';

describe('the README', () => {
  it('has a walk that works as it is printed, line by line', async () => {
    const child = await spawnService({ COUNTERSIGN_DATA_DIR: await embeddedDirectory() });
    atEnd(() => child.end());
    const readme = readFileSync('README.md', 'utf8');
    const walk = /## Five minutes[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const script = walk
      .replace('http://127.0.0.1:50051', `http://${child.grpcAddress}`)
      .replace('http://127.0.0.1:8080', `http://${child.httpAddress}`);
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
      encoding: 'utf8',
      timeout: 120_000,
      env: {
        ...process.env,
        PATH: [withNpx(), 'node_modules/.bin', process.env['PATH']].join(':'),
      },
    });
    assert.equal(status, 0, stderr);
    const [before = '', after = ''] = stdout.split('"keys"');
    assert.match(before, /"active": true/);
    assert.match(before, /"emailVerified": true/);
    const [signedIn = '', signedOut = ''] = after.split('"mfa"');
    assert.match(signedIn, /"recoveryCodes"/);
    assert.match(signedIn, /"active": true/);
    assert.match(signedIn, /"otp"/);
    assert.match(signedOut, /"reason": "INTROSPECTION_REASON_INACTIVE"/);
    assert.doesNotMatch(signedOut, /"active": true/);
  });

  it('names only files that exist', () => {
    for (const document of ['README.md', 'CONTRIBUTING.md']) {
      for (const [, path = ''] of readFileSync(document, 'utf8').matchAll(
        /\]\(((?!http)[^)#]+)\)/g,
      )) {
        assert.ok(existsSync(path), `${document}: ${path}`);
      }
    }
  });
});

/** A directory with an `npx` that runs what is installed here, without the second that npm takes to begin. */
function withNpx(): string {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'npx'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  return directory;
}
