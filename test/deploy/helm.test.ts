import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import {
  configOf,
  documents,
  environmentOf,
  type Manifest,
  manifestsIn,
  only,
} from './manifests.ts';
import { checkDeployment, checkMigrations } from './pod-checks.ts';
import { missing, run } from './programs.ts';

const CHART = 'deploy/helm/countersign';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const KUBERNETES = '1.31.0';
const URL = { publicUrl: 'https://id.example.com' };
/** Everything that can be switched on. */
const FULL = {
  ...URL,
  secrets: {
    redisUrl: { name: 'redis', key: 'url' },
    smtpUrl: { name: 'smtp', key: 'url' },
    oidcProviders: { name: 'oidc', key: 'providers' },
  },
  tls: { secretName: 'tls' },
  config: {
    COUNTERSIGN_DB_POOL_MAX: 12,
    COUNTERSIGN_RATE_LIMITS: true,
    COUNTERSIGN_ACCESS_TOKEN_TTL: '5m',
  },
  extraEnv: [{ name: 'TZ', value: 'UTC' }],
  extraVolumes: [{ name: 'texts', configMap: { name: 'texts' } }],
  extraVolumeMounts: [{ name: 'texts', mountPath: '/texts' }],
  shutdownGraceSeconds: 40,
  memoryMiB: 500,
  resources: { limits: { memory: '800Mi' } },
  autoscaling: { enabled: false },
  networkPolicy: { databaseTo: [{ ipBlock: { cidr: '10.1.0.0/16' } }] },
  metrics: {
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true, extraGroups: [{ name: 'own', rules: [] }] },
  },
};

describe('the Helm chart', () => {
  it('has the version of the package', () => {
    const chart = parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8'));
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  });

  it('makes no secret, and has no hook', () => {
    for (const file of globSync(`${CHART}/{values.yaml,templates/*}`)) {
      assert.doesNotMatch(readFileSync(file, 'utf8'), /kind: Secret|helm\.sh\/hook/, file);
    }
  });

  it('knows each of its values in its schema', () => {
    const values = parse(readFileSync(`${CHART}/values.yaml`, 'utf8'));
    const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8'));
    assert.deepEqual(unlike(values, schema, 'values'), []);
  });

  describe('rendered', { skip: missing('helm') }, () => {
    const defaults = () => render(URL);

    it('passes helm lint', () => {
      const linted = run(
        'helm',
        ['lint', CHART, '--strict', '--kube-version', KUBERNETES, '-f', '-'],
        stringify(FULL),
      );
      assert.equal(linted?.status, 0, linted?.stdout);
    });

    it('runs as nobody in particular, on ports, graces and limits that the service knows', () => {
      checkDeployment(defaults());
      checkDeployment(render(FULL));
    });

    it('gives the service its settings', () => {
      const env = environmentOf(only(render(FULL), 'Deployment').spec.template.spec.containers[0]);
      const config = configOf(env);
      assert.equal(config.publicUrl, URL.publicUrl);
      assert.equal(config.database.poolMax, 12);
      assert.equal(config.accessTokenTtlMs, 300_000);
      assert.equal(config.tls?.clientCaFile, undefined);
      assert.ok(config.redisUrl && config.smtpUrl && config.tls);
      assert.equal(env['TZ'], 'UTC');
    });

    it('migrates in a Job that is named by version, and by what it runs', () => {
      const jobs = [URL, FULL].map((values) => {
        const manifests = render(values);
        checkMigrations(manifests, version);
        return only(manifests, 'Job').metadata.name;
      });
      assert.notEqual(jobs[0], jobs[1]);
      assert.equal(only(defaults(), 'Job').metadata.name, jobs[0]);
    });

    it('W12 migrates in a Job whose name fits a label, whatever release and image are called', () => {
      for (const tag of ['2026.11.22-abcdef0', '1.2.3-', '']) {
        const manifests = render({ ...URL, image: { tag } }, 'r'.repeat(53));
        const { name, labels } = only(manifests, 'Job').metadata;
        assert.match(name, /^[a-z0-9][-a-z0-9]{0,61}[a-z0-9]$/);
        assert.match(name, /-migrate-/);
        assert.match(labels?.['app.kubernetes.io/version'] ?? '', /^\w(?:[\w.-]{0,61}\w)?$/);
      }
    });

    it('asks /readyz to start, /healthz to live on and gRPC to be called, as far as a kubelet can', () => {
      const probes = (values: object) => {
        const [container] = only(render(values), 'Deployment').spec.template.spec.containers;
        const { startupProbe, livenessProbe, readinessProbe } = container;
        return [startupProbe, livenessProbe, readinessProbe].map(
          (probe) => probe.httpGet ?? probe.grpc ?? 'open',
        );
      };
      const asked = (scheme: string, path: string) => ({ path, port: 'http', scheme });
      assert.deepEqual(probes(URL), [
        asked('HTTP', '/readyz'),
        asked('HTTP', '/healthz'),
        { port: 50051 },
      ]);
      const withTls = ['/readyz', '/healthz', '/readyz'].map((path) => asked('HTTPS', path));
      assert.deepEqual(probes(FULL), withTls);
      const mutual = { ...URL, tls: { secretName: 'tls', clientCaKey: 'ca.crt' } };
      assert.deepEqual(probes(mutual), ['open', 'open', 'open']);
    });

    it('refuses values that it does not know, secrets among settings, and no URL', () => {
      const refused = [
        {},
        { publicUrl: 'id.example.com' },
        { ...URL, replica: 3 },
        { ...URL, config: { COUNTERSIGN_MASTER_KEY: 'x' } },
        { ...URL, config: { DATABASE_URL: 'x' } },
        { ...URL, config: { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=x' } },
        { ...URL, secrets: { masterKey: { name: '', key: 'x' } } },
      ];
      for (const values of refused) assert.notEqual(template(values)?.status, 0, stringify(values));
      const traced = { config: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' } };
      assert.equal(template({ ...URL, ...traced })?.status, 0);
    });

    it('refuses what could not be drained, or not be scaled', () => {
      const refused = [
        { podDisruptionBudget: { maxUnavailable: 0 } },
        { podDisruptionBudget: { maxUnavailable: '0%' } },
        { resources: { requests: { cpu: null } } },
      ];
      for (const values of refused) {
        assert.notEqual(template({ ...URL, ...values })?.status, 0, stringify(values));
      }
      const fixed = { resources: { requests: null }, autoscaling: { enabled: false } };
      assert.equal(template({ ...URL, ...fixed })?.status, 0);
    });

    it('brings the alerts that there are files of, and those of its values', () => {
      const { groups } = only(render(FULL), 'PrometheusRule').spec;
      const alerts = [...globSync(`${CHART}/../../observability/alerts.yaml`)].map((file) =>
        parse(readFileSync(file, 'utf8')),
      );
      const own = FULL.metrics.prometheusRule.extraGroups;
      assert.deepEqual(groups, [...alerts.flatMap((each) => each.groups), ...own]);
    });

    it('says the same as the kustomize base', () => {
      const pod = (manifests: Manifest[]) => {
        const {
          template: { spec },
        } = only(manifests, 'Deployment').spec;
        const [{ securityContext, resources, startupProbe, livenessProbe, readinessProbe, ports }] =
          spec.containers;
        const { terminationGracePeriodSeconds } = spec;
        return {
          securityContext,
          resources,
          startupProbe,
          livenessProbe,
          readinessProbe,
          ports,
          terminationGracePeriodSeconds,
        };
      };
      const base = manifestsIn('deploy/kustomize');
      assert.deepEqual(pod(base), pod(defaults()));
      const kinds = (manifests: Manifest[]) => new Set(manifests.map(({ kind }) => kind));
      const others = ['Kustomization'];
      assert.deepEqual(
        [...kinds(base)].filter((kind) => !others.includes(kind)).sort(),
        [...kinds(defaults())].sort(),
      );
    });

    it('is valid for Kubernetes, by schemas that are named', (t) => {
      const { COUNTERSIGN_TEST_KUBE_SCHEMAS: schemas } = process.env;
      if (schemas === undefined) return t.skip('COUNTERSIGN_TEST_KUBE_SCHEMAS names no schemas');
      const rendered = `${template(URL)?.stdout}\n${template(FULL)?.stdout}`;
      const args = [
        '-strict',
        '-skip',
        'ServiceMonitor,PrometheusRule',
        '-kubernetes-version',
        KUBERNETES,
      ];
      const validated = run('kubeconform', [...args, '-schema-location', schemas], rendered);
      if (validated === undefined) return t.skip('kubeconform is not installed');
      assert.equal(validated.status, 0, validated.stdout);
    });
  });
});

function template(values: object, release = 'id') {
  return run(
    'helm',
    ['template', release, CHART, '--kube-version', KUBERNETES, '-f', '-'],
    stringify(values),
  );
}

function render(values: object, release?: string): Manifest[] {
  const rendered = template(values, release);
  assert.equal(rendered?.status, 0, rendered?.stderr);
  return documents(rendered?.stdout ?? '');
}

type Schema = {
  type?: string | string[];
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
};

/** Where values and their schema differ in what they name. */
function unlike(
  value: unknown,
  { properties, additionalProperties }: Schema,
  path: string,
): string[] {
  if (properties === undefined || additionalProperties !== false) return [];
  const entries = Object.entries(value as Record<string, unknown>);
  const forgotten = Object.keys(properties).filter(
    (name) => name !== 'global' && !(name in (value as object)),
  );
  return [
    ...forgotten.map((name) => `${path}.${name} has no default`),
    ...entries.flatMap(([name, each]) => {
      const schema = properties[name];
      return schema
        ? unlike(each, schema, `${path}.${name}`)
        : [`${path}.${name} is not in the schema`];
    }),
  ];
}
