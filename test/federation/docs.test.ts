import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { readConfig } from '../../src/config.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { noteSecret } from '../harness/logs.ts';
import { accountOf, isActive } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { Peer, REDIRECT } from './peer.ts';
import { newcomer, startFederatedService } from './people.ts';

const DOCUMENT = readFileSync('docs/federation.md', 'utf8');

/** Runs the commands that stand in the document under a name, against a service. Returns the answer. */
async function run(service: Service, name: string, more: Record<string, string> = {}) {
  const [, code = ''] = new RegExp(`\`\`\`sh ${name}\n([\\s\\S]*?)\`\`\``).exec(DOCUMENT) ?? [];
  assert.notEqual(code, '', name);
  const script = code.replaceAll('127.0.0.1:50051', service.app.grpcAddress);
  const path = [resolve('node_modules/.bin'), process.env['PATH']].join(':');
  const options = { env: { ...process.env, ...more, PATH: path }, timeout: 60_000 };
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], options);
  return JSON.parse(stdout);
}

describe('docs/federation.md', () => {
  it('signs in with buf curl and a browser, as it says', async () => {
    const peer = await Peer.start();
    const uris = { redirect_uris: [`${REDIRECT}/google`] };
    const service = await startFederatedService([peer.settings({ id: 'google', ...uris })]);
    const begun = await run(service, 'begin');
    noteSecret(begun.loginToken);
    const { state, code, iss } = await peer.visit(begun.authorizationUrl, newcomer(peer).sub);
    const answer = { LOGIN_TOKEN: begun.loginToken, STATE: state, CODE: code, ISS: iss };
    const { tokens } = await run(service, 'finish', answer);
    noteSecret(tokens.refreshToken);
    assert.ok(await isActive(service, tokens.accessToken));
  });

  it('signs in with the test provider, as it says', async () => {
    const dataDir = await embeddedDirectory();
    const env = { DATABASE_URL: '', SMTP_URL: '', COUNTERSIGN_DATA_DIR: dataDir };
    const service = await startService({ env });
    const { tokens } = await run(service, 'try');
    noteSecret(tokens.refreshToken);
    const { user } = await accountOf(service, tokens).getMe({});
    assert.deepEqual([user?.email, user?.displayName], ['robin@example.com', 'Robin']);
  });

  it('has settings for each provider that the service accepts', () => {
    const listed = [...DOCUMENT.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text);
    assert.equal(listed.length, 6);
    for (const text of listed) {
      const json = text.startsWith('[') ? text : `[${text}]`;
      const real = json.replace('the id of the directory', '7a4f0f4e-0c53-4d1f-9a55-3a2f0c9a4f11');
      const env = { COUNTERSIGN_OIDC_PROVIDERS: real };
      assert.equal(readConfig(env, () => 'a secret').providers.length, 1);
    }
  });
});
