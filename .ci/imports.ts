import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** Values that entities hold, in addition to `*.entity.ts` and `*.repository.ts`. */
const STATE: readonly string[] = [
  'src/access/permissions.ts',
  'src/accounts/email.ts',
  'src/audit/audit-entry.ts',
  'src/audit/canonical-json.ts',
  'src/revocations/revocation-target.ts',
];

/**
 * The direction of imports: a file imports from its own layer and from the layers below it. Nouns are
 * layers too, in one declared order. Their state (entities, repositories, and the values in them) is a
 * layer of its own below all nouns, so that a use case may read and change any of it.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['src/main.ts', 'src/health-check.ts'],
  ['src/process.ts'],
  ['src/cli.ts'],
  ['src/cli'],
  ['src/doctor'],
  ['src/config-text.ts'],
  ['src/app.ts'],
  ['src/background.ts'],
  ['src/metrics'],
  ['src/build'],
  ['src/schema.ts', 'migrations'],
  ['src/config.ts'],
  ['src/http'],
  ['src/rpc'],
  ['src/oauth'],
  ['src/mesh'],
  ['src/transfer'],
  ['src/webhooks'],
  ['src/users'],
  ['src/service-accounts'],
  ['src/federation'],
  ['src/login'],
  ['src/accounts'],
  ['src/passkeys'],
  ['src/second-factors'],
  ['src/passwords'],
  ['src/api-keys'],
  ['src/sessions'],
  ['src/one-time-tokens'],
  ['src/access'],
  ['src/signing-keys'],
  ['src/audit'],
  ['src/unit-of-work'],
  ['src/revocations'],
  ['src/mail'],
  ['src/texts'],
  STATE,
  ['src/platform'],
];

/** Who may import what is generated, or a transport. */
const TRANSPORTS = /^(@connectrpc\/|@grpc\/|@bufbuild\/|node:http2?$|node:https$)|(^|\/)gen\//;
const MAY_TRANSPORT = [
  'src/rpc',
  'src/http',
  'src/mesh',
  'src/webhooks/send-webhook.ts',
  'src/app.ts',
  'src/build',
  'src/health-check.ts',
];

/** The only files that touch `process`: what is run. */
const MAY_TOUCH_PROCESS = ['src/main.ts', 'src/process.ts', 'src/health-check.ts'];

const SPECIFIER =
  /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)\s*import\s*'([^']+)'/g;

/** Everything under `root` that imports against the direction or in a circle, a line each. */
export function violations(root: string): string[] {
  const files = globSync(['src/**/*.ts', 'migrations/**/*.ts'], { cwd: root }).sort();
  const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  const against = [...texts].flatMap(([file, text]) => violationsIn(file, text));
  const packaged = globSync('packages/*/src/**/*.ts', { cwd: root }).sort();
  const outside = packaged.flatMap((file) => leaving(file, readFileSync(join(root, file), 'utf8')));
  return [...against, ...outside, ...circles(texts)];
}

/** What a package imports from outside itself: it is installed without the service. */
function leaving(file: string, text: string): string[] {
  const home = `${file.split('/').slice(0, 2).join('/')}/`;
  return localImports(file, text)
    .filter((target) => !target.startsWith(home))
    .map((target) => `${file}: imports ${target}, which is outside its package`);
}

/** The circles of imports, types included: each once, as the way around it. */
function circles(texts: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push(`a circle of imports: ${[...path.slice(start), file].join(' → ')}`);
    if (start >= 0 || done.has(file)) return;
    for (const target of localImports(file, texts.get(file) ?? '')) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of texts.keys()) visit(file, []);
  return found;
}

function localImports(file: string, text: string): string[] {
  return [...text.matchAll(SPECIFIER)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(dirname(file), specifier)));
}

function violationsIn(file: string, text: string): string[] {
  const found: string[] = [];
  if (layer(file) === -1) found.push(`${file}: stands in no layer of .ci/imports.ts`);
  for (const match of text.matchAll(SPECIFIER)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    if (TRANSPORTS.test(specifier) && !within(MAY_TRANSPORT, file)) {
      found.push(`${file}: imports ${specifier}, which only rpc/ and http/ may`);
    }
    if (specifier.startsWith('@countersign/'))
      found.push(`${file}: imports ${specifier}, which is for other people's services`);
    if (!specifier.startsWith('.')) continue;
    const target = normalize(join(dirname(file), specifier));
    if (target.startsWith('gen/') || target === 'package.json') continue;
    if (target.startsWith('packages/'))
      found.push(`${file}: imports ${target}, which is for other people's services`);
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
  if (isState(file)) return LAYERS.indexOf(STATE);
  return LAYERS.findIndex((members) => within(members, file));
}

function isState(file: string): boolean {
  return /\.(entity|repository)\.ts$/.test(file) || STATE.includes(file);
}

function within(members: readonly string[], file: string): boolean {
  return members.some((member) => file === member || file.startsWith(`${member}/`));
}
