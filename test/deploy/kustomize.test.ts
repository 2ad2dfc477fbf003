import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { parse } from 'yaml';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/grpc/health/v1/health_pb.ts';
import { type Service, startService } from '../harness/service.ts';
import { configOf, documents, manifestsIn, only } from './manifests.ts';
import { checkDeployment, checkMigrations } from './pod-checks.ts';
import { missing, run } from './programs.ts';

const BASE = 'deploy/kustomize';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

describe('the kustomize base', () => {
  const manifests = manifestsIn(BASE);
  const kustomization = parse(readFileSync(`${BASE}/kustomization.yaml`, 'utf8'));

  it('runs as nobody in particular, on ports, graces and limits that the service knows', () => {
    checkDeployment(manifests);
  });

  it('migrates in a Job that is named by version', () => {
    checkMigrations(manifests, version);
  });

  it('has the version of the package, and settings of this service', () => {
    const [image] = kustomization.images;
    assert.equal(image.newTag, version);
    const [{ literals }] = kustomization.configMapGenerator;
    const env = Object.fromEntries(literals.map((literal: string) => literal.split(/=(.*)/s)));
    assert.equal(configOf(env).publicUrl, 'https://id.example.com');
  });

  it('is built by kustomize, with policies for its own pods alone', {
    skip: missing('kubectl'),
  }, () => {
    const built = run('kubectl', ['kustomize', BASE]);
    assert.equal(built?.status, 0, built?.stderr);
    const all = documents(built?.stdout ?? '');
    const [image] = kustomization.images;
    const { template } = only(all, 'Deployment').spec;
    assert.equal(template.spec.containers[0].image, `${image.name}:${version}`);
    const name = template.metadata.labels['app.kubernetes.io/name'];
    const { podSelector } = only(all, 'NetworkPolicy').spec as unknown as {
      podSelector: { matchLabels: Record<string, string> };
    };
    assert.deepEqual(podSelector.matchLabels, { 'app.kubernetes.io/name': name });
  });

  describe('probes', () => {
    let service: Service;
    const [container] = only(manifests, 'Deployment').spec.template.spec.containers;

    before(async () => {
      service = await startService();
    });

    for (const probe of ['startupProbe', 'livenessProbe'] as const) {
      it(`answers the ${probe}`, async () => {
        const { path } = container[probe].httpGet ?? assert.fail('there is no httpGet');
        const { status } = await fetch(`http://${service.app.httpAddress}${path}`);
        assert.equal(status, 200);
      });
    }

    it('answers the readinessProbe', async () => {
      assert.ok(container.readinessProbe.grpc);
      const baseUrl = `http://${service.app.grpcAddress}`;
      const { status } = await createClient(Health, createGrpcTransport({ baseUrl })).check({});
      assert.equal(status, Status.SERVING);
    });
  });
});
