import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { type Config, readConfig, unknownVariables } from '../../src/config.ts';

type Probe = { httpGet?: { path: string; port: string; scheme: string }; grpc?: { port: number } };

export type Container = {
  args: string[];
  image: string;
  env: { name: string; value?: string; valueFrom?: unknown }[];
  ports: { name: string; containerPort: number }[];
  securityContext: unknown;
  resources: { limits: { memory: string } };
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
};

export type Pod = {
  automountServiceAccountToken: boolean;
  enableServiceLinks: boolean;
  securityContext: unknown;
  terminationGracePeriodSeconds: number;
  containers: [Container];
};

export type Manifest = {
  kind: string;
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: {
    template: { metadata: { labels: Record<string, string> }; spec: Pod };
    selector: Record<string, string> & { matchLabels: Record<string, string> };
    ports: { name: string; port: number; targetPort: string; appProtocol?: string }[];
    groups: unknown[];
  };
};

const SECRETS: Readonly<Record<string, string>> = {
  DATABASE_URL_FILE: 'postgres://user:password@db/name',
  COUNTERSIGN_MASTER_KEY_FILE: Buffer.alloc(32).toString('base64'),
  REDIS_URL_FILE: 'redis://redis',
  SMTP_URL_FILE: 'smtp://mail:587',
  COUNTERSIGN_OIDC_PROVIDERS_FILE: '[]',
};

export function documents(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

export function manifestsIn(folder: string): Manifest[] {
  return globSync(`${folder}/*.yaml`).flatMap((file) => documents(readFileSync(file, 'utf8')));
}

export function only(manifests: readonly Manifest[], kind: string): Manifest {
  const [found, ...others] = manifests.filter((manifest) => manifest.kind === kind);
  assert.ok(found && others.length === 0, `${kind} is there once`);
  return found;
}

/** The configuration that the service reads from these variables, which must all be settings of it. */
export function configOf(env: Record<string, string | undefined>): Config {
  assert.deepEqual(unknownVariables(env), []);
  const secrets = new Map(Object.entries(SECRETS).map(([name, value]) => [env[name], value]));
  return readConfig(env, (path) => {
    const secret = secrets.get(path);
    assert.ok(secret !== undefined, `${path} is no file of a secret`);
    return secret;
  });
}

export function environmentOf({ env }: Container): Record<string, string | undefined> {
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}

/** Bytes of a quantity in Mi, which is all that is used here. */
export function bytes(quantity: string): number {
  assert.match(quantity, /^\d+Mi$/);
  return Number.parseInt(quantity, 10) * 1024 * 1024;
}
