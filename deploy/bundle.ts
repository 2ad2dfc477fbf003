import { existsSync, globSync, readFileSync, rmSync, statSync } from 'node:fs';

/**
 * Makes `dist/`: the program with its libraries in a few files, since node takes a second and a half to
 * find and read two thousand. With `--if-changed`, only if a source is newer than what is there.
 */

const OUT = 'dist/src';
const SOURCES = ['src/**', 'gen/**', 'migrations/**', 'package-lock.json', 'deploy/bundle.ts'];

const ifChanged = process.argv.includes('--if-changed');
if (!ifChanged || isStale()) {
  // A service that was started from here may still have a file to load.
  if (!ifChanged) rmSync('dist', { recursive: true, force: true });
  // Only now: a checkout without the packages for development can start what has been built.
  const { build } = await import('esbuild');
  await build({
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
    external: packagesWithFiles(),
    // What was written for CommonJS asks for node's own modules by `require`.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'warning',
  });
}

function isStale(): boolean {
  const built = `${OUT}/main.js`;
  if (!existsSync(built)) return true;
  const builtAt = statSync(built).mtimeMs;
  return globSync(SOURCES).some((file) => statSync(file).mtimeMs > builtAt);
}

/** Packages that read files beside them (native code, WebAssembly, lists) and stay where they are. */
function packagesWithFiles(): string[] {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  const withFiles = /^(@electric-sql\/.*|@node-rs\/.*|argon2|bcrypt|fxa-common-password-list)$/;
  return Object.keys(dependencies).filter((name) => withFiles.test(name));
}
