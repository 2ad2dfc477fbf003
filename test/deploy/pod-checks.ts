import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { bytes, configOf, environmentOf, type Manifest, only, type Pod } from './manifests.ts';

const GRACE_MS = 5000;
/** By how much callers without a credential can make a replica grow (W15). */
const STRANGERS_MIB = 100;
const [, user] = /^USER (\d+):\d+$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? [];

/** What holds for the pods of the chart and of the kustomize base alike. */
export function checkDeployment(manifests: readonly Manifest[]): void {
  const pod = only(manifests, 'Deployment').spec.template.spec;
  checkIsolation(pod);
  const [container] = pod.containers;
  const env = environmentOf(container);
  const config = configOf(env);
  assert.equal(pod.terminationGracePeriodSeconds * 1000, config.shutdownGraceMs + GRACE_MS);
  const ports = new Map(container.ports.map(({ name, containerPort }) => [name, containerPort]));
  assert.equal(ports.get('grpc'), config.grpcAddress.port);
  assert.equal(ports.get('http'), config.httpAddress.port);
  assert.equal(ports.get('metrics'), config.metricsAddress?.port);
  const limit = bytes(container.resources.limits.memory);
  assert.ok(limit >= (Number(env['COUNTERSIGN_MEMORY']) + STRANGERS_MIB) * 1024 * 1024);
  assert.deepEqual(container.args, ['serve']);
  checkServices(manifests);
}

/** Runs after the Deployment's image, with the same right to nothing, and never as a hook. */
export function checkMigrations(manifests: readonly Manifest[], version: string): void {
  const job = only(manifests, 'Job');
  checkIsolation(job.spec.template.spec);
  const [container] = job.spec.template.spec.containers;
  const [serving] = only(manifests, 'Deployment').spec.template.spec.containers;
  assert.ok(configOf(environmentOf(container)).databaseUrl);
  assert.deepEqual([container.args, container.image], [['migrate'], serving.image]);
  assert.match(job.metadata.name, new RegExp(`-migrate-${version.replaceAll('.', '-')}\\b`));
  assert.deepEqual(Object.keys(job.metadata.annotations ?? {}), []);
  const { matchLabels } = only(manifests, 'Deployment').spec.selector;
  assert.equal(selects(matchLabels, job.spec.template.metadata.labels), false);
}

function checkIsolation(pod: Pod): void {
  assert.deepEqual(pod.securityContext, {
    runAsNonRoot: true,
    runAsUser: Number(user),
    runAsGroup: Number(user),
    fsGroup: Number(user),
    seccompProfile: { type: 'RuntimeDefault' },
  });
  assert.deepEqual(pod.containers[0].securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.deepEqual([pod.automountServiceAccountToken, pod.enableServiceLinks], [false, false]);
}

function checkServices(manifests: readonly Manifest[]): void {
  const { template } = only(manifests, 'Deployment').spec;
  const named = template.spec.containers[0].ports.map(({ name }) => name);
  const services = manifests.filter(({ kind }) => kind === 'Service');
  assert.equal(services.length, 2);
  for (const { spec } of services) {
    assert.ok(selects(spec.selector, template.metadata.labels));
    assert.deepEqual(
      spec.ports.map(({ targetPort }) => targetPort).filter((port) => !named.includes(port)),
      [],
    );
  }
  const protocols = services.flatMap(({ spec }) =>
    spec.ports.map(({ name, appProtocol }) => `${name} ${appProtocol}`),
  );
  assert.ok(protocols.includes('grpc grpc') && protocols.includes('http http'));
}

function selects(selector: Record<string, string>, labels: Record<string, string>): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}
