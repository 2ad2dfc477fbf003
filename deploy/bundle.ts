import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { OutputFile } from 'esbuild';
import { bundledPackages, thirdPartyNotices } from './notices.ts';
import { PACKAGES_WITH_FILES } from './packages-with-files.ts';

/**
 * Makes `dist/`: the program with its libraries in a few files, since node takes a second and a half to
 * find and read two thousand. With `--if-changed`, only if a source is newer than what is there.
 */

const OUT = 'dist/src';
/**
 * What is served as it is: the schema with its comments, by reflection, from which anyone can generate
 * clients; the same in OpenAPI, and the page that shows it, with its licences.
 */
const FILES = {
  'countersign.binpb': 'gen/countersign.binpb',
  'openapi.json': 'gen/openapi.json',
  ...Object.fromEntries(
    [
      'swagger-ui-bundle.js',
      'swagger-ui.css',
      'LICENSE',
      'NOTICE',
      'swagger-ui-bundle.js.LICENSE.txt',
    ].map((name) => [`swagger-ui/${name}`, `node_modules/swagger-ui-dist/${name}`]),
  ),
};
const SOURCES = ['src/**', 'gen/**', 'migrations/**', 'package-lock.json', 'deploy/*.ts'];
/** The licences of the libraries in the bundle ask for their text to come with it. */
const NOTICES = 'dist/THIRD-PARTY-NOTICES.txt';

const ifChanged = process.argv.includes('--if-changed');
if (!ifChanged || isStale()) {
  const startedAt = new Date();
  // A service that was started from here may still have a file to load.
  if (!ifChanged) rmSync('dist', { recursive: true, force: true });
  // Only now: a checkout without the packages for development can start what has been built.
  const { build } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    entryPoints: [
      'src/main.ts',
      'src/health-check.ts',
      'src/passwords/password-strength-worker.ts',
    ],
    entryNames: '[name]',
    outdir: OUT,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // Libraries and our own log lines go by the names of classes.
    keepNames: true,
    external: Object.keys(PACKAGES_WITH_FILES),
    metafile: true,
    // What was written for CommonJS asks for node's own modules by `require`.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'warning',
    write: false,
  });
  for (const [name, source] of Object.entries(FILES)) {
    write({ path: `dist/${name}`, contents: readFileSync(source), text: '' }, startedAt);
  }
  const unbundled = Object.keys(PACKAGES_WITH_FILES).map((name) => `node_modules/${name}`);
  const notices = thirdPartyNotices([...bundledPackages(metafile), ...unbundled]);
  write({ path: NOTICES, contents: Buffer.from(notices), text: notices }, startedAt);
  // The entry says that the bundle is complete, and how new its sources are.
  const isEntry = ({ path }: Pick<OutputFile, 'path'>) => path.endsWith(`/${OUT}/main.js`);
  const files = withCheapNames(outputFiles);
  for (const file of files.filter((file) => !isEntry(file))) write(file, startedAt);
  for (const file of files.filter(isEntry)) write(file, startedAt);
}

/**
 * `keepNames` would also name each closure that is made in the course of a call, which costs a token
 * check a twentieth. What is no class needs no name.
 */
function withCheapNames(files: readonly OutputFile[]) {
  const named = 'var __name = (target, value) => __defProp(';
  const cheap = 'var __name = (target, value) => target.prototype === void 0 ? target : __defProp(';
  const places = files.filter(({ text }) => text.includes(named));
  if (places.length !== 1) throw new Error('esbuild names functions in another way: see bundle.ts');
  return files.map(({ path, contents, text }) => {
    if (path !== places[0]?.path) return { path, contents, text };
    const changed = text.replace(named, cheap);
    return { path, contents: Buffer.from(changed), text: changed };
  });
}

/** Puts a complete file in its place: another start may be reading, or writing, the one that is there. */
function write(
  { path, contents, text }: Pick<OutputFile, 'path' | 'contents' | 'text'>,
  madeAt: Date,
): void {
  const unfinished = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(unfinished, contents, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
  utimesSync(unfinished, madeAt, madeAt);
  renameSync(unfinished, path);
}

function isStale(): boolean {
  const built = `${OUT}/main.js`;
  if (!existsSync(built)) return true;
  const builtAt = statSync(built).mtimeMs;
  return globSync(SOURCES).some((file) => statSync(file).mtimeMs > builtAt);
}
