import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../src/accounts/account.entity.ts';
import { violations } from './imports.ts';
import { missingPaths } from './paths.ts';
import { forgottenPlaces } from './places.ts';
import { promiseProblems } from './promises.ts';
import { secretsIn } from './secrets.ts';

const NUMBERS = 'abcdefghij'.split('').map((name) => `${name}: number`);

/** `rpc/`, `gen/`, `process` and a package in a noun, a circle, and the service in a package. */
const AGAINST_THE_DIRECTION = {
  'src/accounts/planted.ts':
    "import { callOf } from '../rpc/call.ts';\nimport { x } from '../../gen/x_pb.ts';\nprocess.exit(callOf(x));\n",
  'src/accounts/one.ts': "import './other.ts';\nimport '@countersign/verifier';\n",
  'src/accounts/other.ts': "import type { One } from './one.ts';\n",
  'packages/verifier/src/planted.ts': "import { addMs } from '../../../src/platform/clock.ts';\n",
};

/** A sentence without a test, a number with two sentences, and one without any. */
const UNPROMISED = {
  'docs/promises.md': '| X01 | Borne. |\n| X02 | Not borne. |\n| X01 | Said again. |\n',
  'src/planted.ts': '/** Keeps X01 and X03. */\n',
  'test/planted.test.ts': "it('X01 holds', () => {});\n",
};

/** Three files and a link that lead nowhere, and four names that are right. */
const ASTRAY = {
  'docs/page.md':
    'See [it](gone.md), `gone.ts`, src/gone/, src/planted.ts, `planted.ts`, src/<noun>/.',
  'src/planted.ts':
    "/** As src/gone.ts does; docs/page.md says more. */\nconst path = 'src/gone';\n",
};

/** A function that is too long, and one with too many parameters. */
const TOO_MUCH = {
  'src/planted.ts': `export function long(a: number): number {
${'  a += 1;\n'.repeat(70)}  return a;
}
export const wide = (${NUMBERS.join(', ')}) => a + j;
`,
};

/** A private key, three tokens and a password, in pieces: this file holds none itself. */
const LEAKED = [
  [
    '-----BEGIN RSA PRIVATE',
    ` KEY-----\n${'MIIEowIBAAKCAQEA'.repeat(8)}\n-----END RSA PRIVATE`,
    ' KEY-----',
  ],
  ['gh', `p_${'aB3dE5gH7j'.repeat(4).slice(0, 36)}`],
  ['AWS_SECRET_ACCESS_KEY=', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY'],
  ['//registry.npmjs.org/:_auth', `Token=npm_${'aB3dE5gH7j'.repeat(4).slice(0, 36)}`],
  ['postgres://admin', ':s7Rk2pQx9w', '@db.internal/id'],
].map((pieces) => pieces.join(''));

const PlantedSchema = defineEntity({
  name: 'Planted',
  tableName: 'planted',
  properties: {
    account: () => accountColumn().primary(),
    expiresAt: p.datetime().columnType('timestamptz'),
  },
});
class Planted extends PlantedSchema.class {}
PlantedSchema.setClass(Planted);

/** The guards that don't find what is planted for them, a line each. */
export async function blindGuards(): Promise<string[]> {
  const { Account } = await import('../src/accounts/account.entity.ts');
  const places = forgottenPlaces([Account, Planted]).filter((line) => /planted|Planted/.test(line));
  return [
    ...expected('import direction', 6, planted(AGAINST_THE_DIRECTION, violations)),
    ...expected('promises', 3, planted(UNPROMISED, promiseProblems)),
    ...expected('paths', 4, planted(ASTRAY, missingPaths)),
    ...expected('nothing forgotten', 5, places),
    ...expected('secrets', LEAKED.length, await leaked()),
    ...expected('size of functions', 2, planted(TOO_MUCH, tooMuch)),
  ];
}

function expected(guard: string, count: number, found: readonly string[]): string[] {
  if (found.length === count) return [];
  return [`${guard}: found ${found.length} of ${count} planted violations`, ...found];
}

/** What a guard finds in a directory with these files and nothing else. */
function planted(
  files: Readonly<Record<string, string>>,
  guard: (root: string) => string[],
): string[] {
  const root = mkdtempSync(join(tmpdir(), 'countersign-planted-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  const found = guard(root);
  rmSync(root, { recursive: true });
  return found;
}

/** What is found in a file for each credential, once for each. */
async function leaked(): Promise<string[]> {
  const found = await Promise.all(LEAKED.map((text) => secretsIn('planted.txt', `${text}\n`)));
  return found.filter((lines) => lines.length > 0).map(([line = '']) => line);
}

/** What biome says of the size of functions, by our own configuration. */
function tooMuch(root: string): string[] {
  cpSync('biome.json', join(root, 'biome.json'));
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  const { stderr, stdout } = spawnSync('biome', ['lint', 'src'], { cwd: root, encoding: 'utf8' });
  return `${stderr}${stdout}`.match(/lint\/complexity\/\w+(?= ━)/g) ?? [];
}
