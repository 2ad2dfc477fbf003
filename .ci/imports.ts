import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/**
 * The direction of imports. A file may import from its own layer's folder and from every layer that
 * stands below its own here; nouns are layers too, in their one declared order.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['src/main.ts', 'src/health-check.ts'],
  ['src/cli.ts'],
  ['src/cli'],
  ['src/config-text.ts'],
  ['src/app.ts'],
  ['src/background.ts'],
  ['src/schema.ts', 'migrations'],
  ['src/config.ts'],
  ['src/http'],
  ['src/rpc'],
  ['src/transfer'],
  ['src/users'],
  ['src/profile'],
  ['src/login'],
  ['src/passkeys'],
  ['src/credentials'],
  ['src/api-keys'],
  ['src/roles'],
  ['src/service-accounts'],
  ['src/sessions'],
  ['src/accounts'],
  ['src/access'],
  ['src/signing-keys'],
  ['src/mail'],
  ['src/audit'],
  ['src/platform'],
];

/** Who may import what is generated, or a transport. */
const TRANSPORTS =
  /^(@connectrpc\/|@grpc\/|@bufbuild\/|grpc-health-check$|node:http2?$|node:https$)|(^|\/)gen\//;
const MAY_TRANSPORT = [
  'src/rpc',
  'src/http',
  'src/mesh',
  'src/verifier',
  'src/app.ts',
  'src/health-check.ts',
];

/** The only files that touch `process`: what is run. */
const MAY_TOUCH_PROCESS = ['src/main.ts', 'src/health-check.ts'];

const SPECIFIER =
  /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)\s*import\s*'([^']+)'/g;

/** Everything under `root` that imports against the direction, a line each. */
export function violations(root: string): string[] {
  const files = globSync(['src/**/*.ts', 'migrations/**/*.ts'], { cwd: root }).sort();
  return files.flatMap((file) => violationsIn(file, readFileSync(join(root, file), 'utf8')));
}

function violationsIn(file: string, text: string): string[] {
  const found: string[] = [];
  if (layer(file) === -1) found.push(`${file}: stands in no layer of .ci/imports.ts`);
  for (const match of text.matchAll(SPECIFIER)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    if (TRANSPORTS.test(specifier) && !within(MAY_TRANSPORT, file)) {
      found.push(`${file}: imports ${specifier}, which only rpc/ and http/ may`);
    }
    if (!specifier.startsWith('.')) continue;
    const target = normalize(join(dirname(file), specifier));
    if (target.startsWith('gen/')) continue;
    if (layer(target) < layer(file))
      found.push(`${file}: imports ${target}, which stands above it`);
  }
  if (
    /\bprocess\.(env|argv|exit|on|once|stdout|stderr)\b/.test(text) &&
    !within(MAY_TOUCH_PROCESS, file)
  ) {
    found.push(`${file}: touches process, which only the program's entries may`);
  }
  return found;
}

function layer(file: string): number {
  return LAYERS.findIndex((members) => within(members, file));
}

function within(members: readonly string[], file: string): boolean {
  return members.some((member) => file === member || file.startsWith(`${member}/`));
}
