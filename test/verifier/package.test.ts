import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { before, describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { temporaryDirectory } from '../harness/prepared.ts';

const PACKAGE = 'packages/verifier';
const SCHEMA = 'gen/countersign.binpb';
const BIN = resolve('node_modules/.bin');

const PROGRAM = `
import { requirePermission, type Principal, VerifierError } from '@countersign/verifier';
import { serverInterceptor } from '@countersign/verifier/connect';
import { createTestIssuer } from '@countersign/verifier/testing';

const issuer = createTestIssuer();
const verifier = issuer.createVerifier();
serverInterceptor(verifier, { services: [] });
const token = await issuer.token({ permissions: ['orders.read'] });
const principal: Principal = await verifier.verify(token);
requirePermission(principal, 'orders.read');
await issuer.revoke({ sessionId: principal.sessionId });
try {
  await verifier.verify(token);
} catch (error) {
  if (error instanceof VerifierError) process.stdout.write(error.reason);
}
issuer.close();
`;
/** With an optional package beside it. */
const WITH_GRPC = `
import { serverInterceptor } from '@countersign/verifier/grpc-js';
process.stdout.write(typeof serverInterceptor);
`;

const TYPES =
  '--noEmit --strict --module nodenext --target es2024 --types node --allowImportingTsExtensions'.split(
    ' ',
  );

/** The files that the README shows, each with its name. */
const FILES = /```\w+ (\S+)\n(.*?)```/gs;
const readme = () => readFileSync(join(PACKAGE, 'README.md'), 'utf8');

/** An empty project with the packed package in it, and those packages that it says it needs. */
let project: string;

before(() => {
  project = temporaryDirectory();
  run('npm', ['pack', '--silent', '--pack-destination', project], join(cloneOf(), PACKAGE));
  const { name, version, dependencies } = JSON.parse(
    readFileSync(join(PACKAGE, 'package.json'), 'utf8'),
  );
  // As npm would, from what is here: a test needs no network.
  const installed = join(project, 'node_modules', name);
  mkdirSync(installed, { recursive: true });
  const tarball = join(project, `countersign-verifier-${version}.tgz`);
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed], project);
  for (const dependency of Object.keys(dependencies)) install(dependency);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
});

/** What packing takes of a clone: packing replaces what was built, which another test may be using. */
function cloneOf(): string {
  const clone = temporaryDirectory();
  const files = ['tsconfig.json', 'LICENSE', SCHEMA, 'proto/countersign/v1/access.proto'];
  for (const file of [
    ...files,
    ...['src', 'gen', 'tsconfig.json', 'package.json', 'README.md'].map((name) =>
      join(PACKAGE, name),
    ),
  ])
    cpSync(file, join(clone, file), { recursive: true });
  symlinkSync(resolve('node_modules'), join(clone, 'node_modules'));
  return clone;
}

function install(dependency: string): void {
  const link = join(project, 'node_modules', dependency);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(resolve('node_modules', dependency), link);
}

function run(program: string, args: string[], cwd: string): string {
  const env = { ...process.env, PATH: `${BIN}:${process.env['PATH']}` };
  return execFileSync(program, args, { cwd, env, encoding: 'utf8', stdio: 'pipe' });
}

describe('The package', () => {
  it('runs in an empty project with nothing but what it asks for', () => {
    writeFileSync(join(project, 'program.ts'), PROGRAM);
    assert.equal(run(process.execPath, ['program.ts'], project), 'TOKEN_REVOKED');
    writeFileSync(join(project, 'grpc.ts'), WITH_GRPC);
    assert.throws(() => run(process.execPath, ['grpc.ts'], project), /@grpc\/grpc-js/);
    install('@grpc/grpc-js');
    assert.equal(run(process.execPath, ['grpc.ts'], project), 'function');
  });

  it('brings its types', () => {
    writeFileSync(join(project, 'program.ts'), PROGRAM);
    install('@types/node');
    run('tsc', [...TYPES, 'program.ts', 'grpc.ts'], project);
  });

  it('does as its README says', () => {
    for (const [, file = '', text = ''] of readme().matchAll(FILES)) {
      mkdirSync(join(project, dirname(file)), { recursive: true });
      writeFileSync(join(project, file), text);
    }
    install('@connectrpc/connect-node');
    run('buf', ['generate'], project);
    run('tsc', [...TYPES, 'main.ts', 'server.test.ts'], project);
    run(process.execPath, ['--test', '--test-force-exit', 'server.test.ts'], project);
  });

  it('brings the access rule for other protos, and nothing of the service', () => {
    const installed = join(project, 'node_modules/@countersign/verifier');
    const files = run('find', ['.', '-type', 'f'], installed).trim().split('\n');
    assert.ok(files.includes('./proto/countersign/v1/access.proto'));
    assert.ok(files.includes('./README.md'));
    assert.ok(files.includes('./LICENSE'));
    const others = files.filter((file) => !/^\.\/(dist\/(src|gen)|proto)\//.test(file));
    const expected = ['./LICENSE', './README.md', './countersign.binpb', './package.json'];
    assert.deepEqual(others.sort(), expected);
  });

  it('brings the whole schema, with its comments, for tools that ask for a descriptor set', () => {
    const find = "import.meta.resolve('@countersign/verifier/countersign.binpb')";
    writeFileSync(join(project, 'schema.ts'), `process.stdout.write(new URL(${find}).pathname);`);
    const schema = run(process.execPath, ['schema.ts'], project);
    assert.deepEqual(readFileSync(schema), readFileSync(SCHEMA));
    run('buf', ['build', schema, '-o', '/dev/null'], project);
    const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(schema));
    const names = new Set(file.map(({ name }) => name));
    // A tool that is given one file finds nothing that is not in it.
    for (const { dependency } of file)
      for (const each of dependency) assert.ok(names.has(each), each);
    for (const own of globSync('countersign/v1/*.proto', { cwd: 'proto' })) {
      const found = file.find(({ name }) => name === own);
      assert.ok(
        found?.sourceCodeInfo?.location.some(({ leadingComments }) => leadingComments),
        own,
      );
    }
  });
});
