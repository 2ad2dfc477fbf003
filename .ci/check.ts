import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { exampleEnvironment, settingsTable } from '../src/config-text.ts';
import { eventTypesPage } from '../src/webhooks/event-types.ts';
import { violations } from './imports.ts';
import { missingPaths } from './paths.ts';
import { allEntities, forgottenPlaces } from './places.ts';
import { blindGuards } from './planted.ts';
import { promiseProblems } from './promises.ts';
import { untested } from './rpc-tests.ts';
import { trackedSecrets } from './secrets.ts';

/** Buf modules of older landings that come with packages; no commit contains them. */
const OTHERS = [
  'node_modules/@grpc/grpc-js-xds/deps/googleapis',
  'node_modules/grpc-health-check/proto',
];

/** The rules about options that older landings had for no language. */
const OPTION_RULES = [
  'FILE_SAME_CSHARP_NAMESPACE',
  'FILE_SAME_GO_PACKAGE',
  'FILE_SAME_JAVA_MULTIPLE_FILES',
  'FILE_SAME_JAVA_OUTER_CLASSNAME',
  'FILE_SAME_JAVA_PACKAGE',
  'FILE_SAME_OBJC_CLASS_PREFIX',
  'FILE_SAME_PHP_METADATA_NAMESPACE',
  'FILE_SAME_PHP_NAMESPACE',
  'FILE_SAME_RUBY_PACKAGE',
  'FILE_SAME_SWIFT_PREFIX',
  'RPC_SAME_IDEMPOTENCY_LEVEL',
];

/** Everything that can be checked without running the service. Reports all problems, not the first. */
const checks: Record<string, () => string[] | Promise<string[]>> = {
  'format and lint': () => command('biome', 'check', '--error-on-warnings', '.'),
  types: () => command('tsc'),
  'proto format': () =>
    ['proto', 'test/proto', 'third_party'].flatMap((module) =>
      command('buf', 'format', module, '--diff', '--exit-code'),
    ),
  'proto lint': () => command('buf', 'lint'),
  'proto breaking': breaking,
  'generated code': generatedCode,
  'import direction': () => violations('.'),
  'nothing forgotten': async () => forgottenPlaces(await allEntities()),
  promises: () => promiseProblems(),
  'paths in docs and comments': () => missingPaths('.'),
  'no secrets': trackedSecrets,
  'planted violations': blindGuards,
  'a test for each RPC': () =>
    untested().map((rpc) => `no test file of its name has a describe of ${rpc}`),
  'dead code': () => command('knip', '--no-progress'),
  'configuration in the docs': configurationDocs,
  'event types in the docs': eventTypesDocs,
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const problems = await check();
  process.stdout.write(`${problems.length === 0 ? 'ok    ' : 'FAILED'} ${name}\n`);
  if (problems.length > 0) process.stdout.write(`${problems.join('\n')}\n`);
  failed += problems.length > 0 ? 1 : 0;
}
process.exitCode = failed > 0 ? 1 : 0;

function command(name: string, ...args: string[]): string[] {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  if (status === 0) return [];
  return [error?.message ?? `${stdout}${stderr}`.trim()];
}

function git(...args: string[]): string {
  return spawnSync('git', args, { encoding: 'utf8' }).stdout.trim();
}

/** Compares with what landed last: nothing that a client relies on may change (buf's FILE rules). */
function breaking(): string[] {
  const base = lastLanding();
  if (base === '' || git('ls-tree', base, 'proto') === '') {
    process.stdout.write('       proto breaking: nothing has landed yet\n');
    return [];
  }
  // Not by buf's own git reader: older landings have modules in node_modules, which are in no commit.
  const directory = mkdtempSync(join(tmpdir(), 'countersign-landed-'));
  const archive = `git archive ${base} proto test/proto third_party buf.yaml | tar -x -C ${directory}`;
  const problems = command('sh', '-c', archive);
  const contains = (file: string, text: string) =>
    readFileSync(join(directory, file), 'utf8').includes(text);
  for (const module of OTHERS.filter((each) => contains('buf.yaml', each))) {
    mkdirSync(join(directory, dirname(module)), { recursive: true });
    problems.push(...command('cp', '-r', module, join(directory, module)));
  }
  // As one image each: buf compares workspaces only if they have the same number of modules.
  const [ours, theirs] = [join(directory, 'ours.binpb'), join(directory, 'theirs.binpb')];
  problems.push(
    ...command('buf', 'build', 'proto', '-o', ours),
    ...command('buf', 'build', join(directory, 'proto'), '-o', theirs),
  );
  const except = contains('proto/countersign/v1/access.proto', 'go_package') ? [] : OPTION_RULES;
  const config = JSON.stringify({ version: 'v2', breaking: { use: ['FILE'], except } });
  const options = ['--exclude-imports', '--config', config];
  const broken = [
    ...problems,
    ...command('buf', 'breaking', ours, '--against', theirs, ...options),
  ];
  rmSync(directory, { recursive: true });
  return broken;
}

/**
 * Returns `BREAKING_BASE` if it is set; else the remote's main, unless that is HEAD itself; else the
 * newest commit that is at least four hours older than HEAD, since what lands together is younger.
 */
function lastLanding(): string {
  const given = process.env['BREAKING_BASE'];
  if (given) return given;
  const head = git('rev-parse', 'HEAD');
  const remote = git('rev-parse', '--verify', '--quiet', 'origin/main');
  if (remote !== '' && remote !== head) return git('merge-base', head, remote);
  const headTime = Number(git('show', '-s', '--format=%ct', 'HEAD'));
  return git('rev-list', '-1', `--before=${headTime - 4 * 3600}`, 'HEAD');
}

/** Generates into the work tree, where a difference remains to be committed. */
function generatedCode(): string[] {
  const before = snapshot();
  const problems = [
    ...command('buf', 'generate'),
    ...command('buf', 'generate', '--template', 'test/buf.gen.yaml'),
    ...command('buf', 'generate', '--template', 'packages/verifier/buf.gen.yaml'),
    ...command('npm', 'run', '-s', 'gen:set'),
    ...command('npm', 'run', '-s', 'gen:openapi'),
  ];
  const after = snapshot();
  if (before !== after) problems.push('gen/ was not up to date; it is now');
  return problems;
}

function snapshot(): string {
  return spawnSync(
    'sh',
    ['-c', 'find gen test/gen packages/verifier/gen -type f | sort | xargs sha256sum'],
    {
      encoding: 'utf8',
    },
  ).stdout;
}

function configurationDocs(): string[] {
  const problems: string[] = [];
  if (readFileSync('.env.example', 'utf8') !== exampleEnvironment()) {
    problems.push('.env.example: run `npm run -s countersign -- config --example > .env.example`');
  }
  if (!readFileSync('README.md', 'utf8').includes(settingsTable())) {
    problems.push('README.md: its table is not `npm run -s countersign -- config --table`');
  }
  return problems;
}

function eventTypesDocs(): string[] {
  if (readFileSync('docs/event-types.md', 'utf8') === eventTypesPage()) return [];
  const run = 'npm run -s countersign -- webhooks types --page > docs/event-types.md';
  return [`docs/event-types.md: run \`${run}\``];
}
