import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from './harness/eventually.ts';
import { type Person, person } from './harness/people.ts';
import { temporaryDirectory } from './harness/prepared.ts';
import { type Service, startService } from './harness/service.ts';
import { snippet } from './snippets.ts';

const GO_VERIFIERS = ['golangjwt', 'jwx', 'gooidc', 'revoked'];
const PYTHON_MODULES = 'import grpc_tools, grpc_status, jwt, cryptography';
const hasPython = spawnSync('python', ['-c', PYTHON_MODULES]).status === 0;
const INVALID = /reason: INVALID_REQUEST[\s\S]*request: \S+[\s\S]*field: required_scopes\[0\]/;

/** Prints what a verifier with a reader of revocations says of a token, whenever that changes. */
const WATCH = `
import os, sys, time, grpc
from countersign.v1.session_service_pb2_grpc import SessionServiceStub
from verify import Verifier
from revocations import Revocations
from revoked import verify_now
verifier = Verifier(os.environ["ISSUER"], os.environ["AUDIENCE"])
revocations = Revocations(SessionServiceStub(grpc.insecure_channel(os.environ["ADDRESS"])), [])
while True:
    try:
        verify_now(verifier, revocations, sys.argv[1])
        open("live", "w")
        time.sleep(0.05)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        if "revoked" in str(error):
            break
        revocations.start()
        while not revocations.up_to_date():
            time.sleep(0.05)
        print("live")
`;

let service: Service;
let pat: Person;
/** Where a reader of the documents works: their files, with a clone in `countersign`. */
let folder: string;

before(async () => {
  folder = temporaryDirectory();
  for (const name of ['proto', 'third_party', 'test/proto', 'buf.yaml']) {
    cpSync(name, join(folder, 'countersign', name), { recursive: true });
  }
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  service = await startService({ env: { COUNTERSIGN_ISSUER: '' } });
  pat = await person(service, 'user', 'admin');
});

function save(document: string, ...names: string[]): void {
  for (const name of names) writeFileSync(join(folder, name), snippet(document, name));
}

/** Runs a command, without blocking the service in this process. Returns all that it printed. */
async function run(
  { audience }: { audience?: string | undefined },
  command: string,
  ...args: string[]
): Promise<string> {
  const { app } = service;
  const issuer = `http://${app.httpAddress}`;
  const env = {
    PATH: [resolve('node_modules/.bin'), process.env['PATH']].join(':'),
    PYTHONPATH: join(folder, 'gen'),
    ADDRESS: app.grpcAddress,
    ISSUER: issuer,
    AUDIENCE: audience ?? issuer,
    OWN_KEY: pat.accessToken,
  };
  const options = { cwd: folder, env, timeout: 60_000 };
  return promisify(execFile)(command, args, options).then(
    ({ stdout }) => stdout,
    ({ stdout, stderr }) => `${stdout}${stderr}`,
  );
}

describe('the snippets of docs/clients.md and docs/verify-tokens.md', () => {
  it('say in Node whether a token is valid, and why a call failed', async () => {
    save('clients', 'buf.gen.yaml', 'introspect.js');
    await run(
      {},
      'sh',
      '-ec',
      snippet('clients', 'node-generate').replaceAll(/^npm .*$|^npx /gm, ''),
    );
    assert.match(await run({}, 'node', 'introspect.js', pat.accessToken), /^active: /);
    assert.match(await run({}, 'node', 'introspect.js', 'nothing'), /^not active: INACTIVE/);
    assert.match(await run({}, 'node', 'introspect.js', pat.accessToken, ''), INVALID);
  });

  it('verify a token in Node, and refuse one that was altered or is for someone else', async () => {
    save('verify-tokens', 'verify.js');
    const verify = (token: string, audience?: string) =>
      run({ audience }, 'node', 'verify.js', token);
    assert.equal((await verify(pat.accessToken)).split(' ')[0], pat.userId);
    assert.match(await verify(pat.accessToken, 'billing'), /JWTClaimValidationFailed.*"aud"/);
    assert.match(await verify(altered(pat.accessToken)), /JWSSignatureVerificationFailed/);
  });

  it('do both in Python, and hear there of a revocation', async (t) => {
    if (!hasPython)
      return t.skip('python with grpcio-tools, grpcio-status and PyJWT is not installed');
    save('clients', 'introspect.py', 'revocations.py');
    await run({}, 'sh', '-ec', snippet('clients', 'python-generate').replace(/^pip .*$/m, ''));
    assert.match(await run({}, 'python', 'introspect.py', pat.accessToken), /^active: /);
    assert.match(await run({}, 'python', 'introspect.py', pat.accessToken, ''), INVALID);
    save('verify-tokens', 'verify.py', 'revoked.py');
    writeFileSync(join(folder, 'watch.py'), WATCH);
    const { accessToken, refreshToken } = await person(service);
    const watching = run({}, 'python', 'watch.py', accessToken);
    await eventually(() => existsSync(join(folder, 'live')));
    await service.auth.logout({ refreshToken });
    assert.match(await watching, /Outage.*live.*InvalidTokenError: revoked/s);
  });

  it('are formatted in Go as gofmt does it', (t) => {
    if (spawnSync('gofmt', ['-h']).error) return t.skip('gofmt is not installed');
    const documents = {
      clients: ['introspect', 'revocations'],
      'verify-tokens': GO_VERIFIERS,
      webhooks: ['receiver'],
    };
    for (const [document, names] of Object.entries(documents)) {
      for (const name of names) {
        const input = snippet(document, `${name}.go`);
        const { stdout, stderr } = spawnSync('gofmt', ['-d'], { input, encoding: 'utf8' });
        assert.equal(stdout + stderr, '', name);
      }
    }
  });
});

/** The token with another signature. */
function altered(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}
