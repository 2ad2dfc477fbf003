import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { configOf } from './manifests.ts';

type Service = {
  environment?: Record<string, string>;
  command?: string[];
  profiles?: string[];
  volumes?: string[];
  read_only?: boolean;
  cap_drop?: string[];
  stop_grace_period?: string;
  ports?: string[];
};

describe('the compose file', () => {
  const text = readFileSync('deploy/compose.yaml', 'utf8');
  const services: Record<string, Service> = parse(text, { merge: true }).services;
  const ours = Object.values(services).filter((service) => 'read_only' in service);

  it('gives each replica settings of this service, and time to end', () => {
    assert.equal(ours.length, 3);
    for (const { environment = {}, stop_grace_period: grace = '' } of ours) {
      const config = configOf(environment);
      assert.ok(config.databaseUrl && config.redisUrl && config.masterKeys);
      assert.equal(Number.parseInt(grace, 10) * 1000, config.shutdownGraceMs + 5000);
    }
  });

  it('gives none of them anything to write to, or a capability', () => {
    for (const service of ours)
      assert.deepEqual([service.read_only, service.cap_drop], [true, ['ALL']]);
  });

  it('opens ports on loopback only, to ports of the image', () => {
    const exposed =
      /^EXPOSE (.*)$/m.exec(readFileSync('Dockerfile', 'utf8'))?.[1]?.split(' ') ?? [];
    for (const port of Object.values(services).flatMap(({ ports = [] }) => ports))
      assert.match(port, /^127\.0\.0\.1:/);
    const inside = ours.flatMap(({ ports = [] }) => ports.map((port) => port.split(':').at(-1)));
    assert.deepEqual([...new Set(inside)].sort(), [...exposed].sort());
  });

  it('has Prometheus and Grafana for those who ask for them, with files that are there', () => {
    const observing = Object.values(services).filter(({ profiles }) =>
      profiles?.includes('observability'),
    );
    assert.equal(observing.length, 2);
    const mounted = observing.flatMap(({ volumes = [] }) =>
      volumes.map((volume) => volume.split(':')[0] ?? ''),
    );
    const files = mounted.filter((file) => file.startsWith('./compose/'));
    assert.ok(files.length === 3 && files.every((file) => existsSync(join('deploy', file))));
    const { scrape_configs } = parse(readFileSync('deploy/compose/prometheus.yaml', 'utf8'));
    const [{ targets }] = scrape_configs[0].static_configs;
    const replicas = Object.keys(services).filter((name) => /^countersign-/.test(name));
    const port =
      services[replicas[0] ?? '']?.environment?.['COUNTERSIGN_METRICS_ADDR']?.split(':')[1];
    assert.deepEqual(
      targets,
      replicas.map((name) => `${name}:${port}`),
    );
  });
});
