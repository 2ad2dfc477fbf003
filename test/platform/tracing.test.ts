import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { type ConfigError, readConfig } from '../../src/config.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { createAccount, newEmail, PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { startTarget } from '../webhooks/target-server.ts';
import { LOOPBACK, newWebhook, webhooksFor } from '../webhooks/webhooks.ts';
import { CLIENT, newTrace, type ReceivedSpan, SERVER, startCollector } from './trace-collector.ts';

const LOGIN = 'countersign.v1.AuthService/Login';
const INTROSPECT = 'countersign.v1.SessionService/IntrospectToken';

type Collector = Awaited<ReturnType<typeof startCollector>>;

function startTraced({ endpoint }: Pick<Collector, 'endpoint'>, env: Record<string, string> = {}) {
  const tracing = {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  };
  return startService({ env: { ...tracing, ...env } });
}

/** Waits for a span that the collector has been sent. */
async function spanOf(
  { spans }: Collector,
  is: (span: ReceivedSpan) => boolean,
): Promise<ReceivedSpan> {
  let found: ReceivedSpan | undefined;
  await eventually(() => {
    found = spans().find(is);
    return found !== undefined;
  }, 60_000);
  return found as ReceivedSpan;
}

describe('Tracing', () => {
  let collector: Collector;
  let target: Awaited<ReturnType<typeof startTarget>>;
  let service: Service;

  before(async () => {
    collector = await startCollector();
    target = await startTarget();
    const ports = { COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: `${target.port}` };
    const limits = { COUNTERSIGN_RATE_LIMITS: 'on' };
    const secret = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20Zm9v,x-tenant=shop' };
    service = await startTraced(collector, { ...LOOPBACK, ...ports, ...limits, ...secret });
  });

  it('records a call and the parts of its work in the trace that its caller names', async () => {
    const email = await createAccount(service);
    const { headers, traceId, parentId } = newTrace({ sampled: true });
    const lines = await logLines(() =>
      service.auth.login({ email, password: PASSWORD }, { headers }),
    );
    assert.equal(lines.find(({ method }) => method === LOGIN)?.['trace_id'], traceId);
    const call = await spanOf(collector, (span) => span.traceId === traceId && span.name === LOGIN);
    assert.equal(call.parentSpanId, parentId);
    assert.equal(call.kind, SERVER);
    assert.equal(call.attributes['rpc.system.name'], 'grpc');
    assert.equal(call.attributes['rpc.method'], LOGIN);
    assert.equal(call.attributes['rpc.response.status_code'], 'OK');
    const parts = collector.spans().filter((span) => span.parentSpanId === call.spanId);
    const named = (name: string) => parts.find((span) => span.name === name);
    assert.ok(named('password hash'));
    assert.equal(named('statement')?.attributes['db.system.name'], 'postgresql');
    const redis = parts.find(({ attributes }) => attributes['db.system.name'] === 'redis');
    assert.equal(redis?.kind, CLIENT);
    for (const { traceId: of, startTimeUnixNano: from, endTimeUnixNano: to } of parts) {
      assert.equal(of, traceId);
      assert.ok(BigInt(from) <= BigInt(to));
    }
  });

  it('begins a trace for a call that names none, and logs its id', async () => {
    const lines = await logLines(() => service.sessions.introspectToken({ token: 'x' }));
    const traceId = lines.find(({ method }) => method === INTROSPECT)?.['trace_id'];
    const call = await spanOf(collector, (span) => span.traceId === traceId);
    assert.equal(call.name, INTROSPECT);
    assert.equal(call.parentSpanId, undefined);
  });

  it('records nothing of a trace whose caller records nothing', async () => {
    const unrecorded = newTrace({ sampled: false });
    const later = newTrace({ sampled: true });
    const email = await createAccount(service);
    for (const { headers } of [unrecorded, later]) {
      await service.auth.login({ email, password: PASSWORD }, { headers });
    }
    await spanOf(collector, ({ traceId, name }) => traceId === later.traceId && name === LOGIN);
    const traceIds = collector.spans().map(({ traceId }) => traceId);
    assert.equal(traceIds.includes(unrecorded.traceId), false);
  });

  it('says with which code a call was refused', async () => {
    const { headers, traceId } = newTrace({ sampled: true });
    const call = service.auth.login({ email: newEmail(), password: PASSWORD }, { headers });
    assert.equal((await refusal(call)).code, Code.Unauthenticated);
    const span = await spanOf(collector, (each) => each.traceId === traceId && each.name === LOGIN);
    assert.equal(span.attributes['rpc.response.status_code'], 'UNAUTHENTICATED');
    assert.equal(span.attributes['error.type'], 'UNAUTHENTICATED');
    assert.equal(span.status.code, 2);
  });

  it('ends the span of a stream when its reader leaves', async () => {
    const { headers, traceId } = newTrace({ sampled: true });
    const reader = new AbortController();
    const client = service.client(SessionService, 'grpc');
    const options = { headers, signal: reader.signal };
    await assert.rejects(async () => {
      for await (const _ of client.watchRevocations({}, options)) reader.abort();
    });
    const span = await spanOf(collector, (each) => each.traceId === traceId);
    assert.equal(span.name, 'countersign.v1.SessionService/WatchRevocations');
  });

  it('records mails and webhooks as traces of their own, in which a target can take part', async () => {
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newWebhook(webhooks, ['role.created'], target.url);
    const { delivery } = await webhooks.testWebhook({ webhookId });
    const attempt = await spanOf(
      collector,
      ({ attributes }) => attributes['countersign.webhook_message_id'] === delivery?.deliveryId,
    );
    assert.equal(attempt.name, 'send webhook');
    assert.equal(attempt.attributes['http.response.status_code'], 204);
    const [received] = target.received;
    const traceparent = `00-${attempt.traceId}-${attempt.spanId}-01`;
    assert.equal(received?.headers['traceparent'], traceparent);
    await service.auth.requestPasswordReset({ email: await createAccount(service) });
    const mail = await spanOf(collector, ({ name }) => name === 'send mail');
    assert.equal(mail.parentSpanId, undefined);
  });

  it('W09 tells the collector no address, password or token, and shows it its credentials', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    const email = await createAccount(service);
    const { headers, traceId } = newTrace({ sampled: true });
    await service.auth.login({ email, password: PASSWORD }, { headers });
    await service.auth.refreshToken({ refreshToken });
    await spanOf(collector, (span) => span.traceId === traceId && span.name === LOGIN);
    const sent = collector.received.map(({ body }) => body.toString()).join('');
    for (const secret of [
      PASSWORD,
      email,
      '@example.com',
      accessToken,
      refreshToken,
      '127.0.0.1',
    ]) {
      assert.equal(sent.includes(secret), false, secret);
    }
    for (const { url, headers } of collector.received) {
      assert.equal(url, '/v1/traces');
      assert.equal(headers.authorization, 'Basic Zm9v');
      assert.equal(headers['x-tenant'], 'shop');
    }
    assert.equal(collector.resource()['service.name'], 'countersign');
  });
});

describe('The share of traces', () => {
  /** How many of these calls are recorded. */
  async function recorded(env: Record<string, string>, sampled: boolean, calls = 40) {
    const collector = await startCollector();
    const service = await startTraced(collector, env);
    const named = Array.from({ length: calls }, () => newTrace({ sampled }));
    for (const { headers } of named) {
      await service.sessions.introspectToken({ token: 'x' }, { headers });
    }
    await service.app.stop();
    const traceIds = new Set(collector.spans().map(({ traceId }) => traceId));
    return named.filter(({ traceId }) => traceIds.has(traceId)).length;
  }

  it('is what callers say, or all or none whatever they say', async () => {
    assert.equal(await recorded({}, true), 40);
    assert.equal(await recorded({ OTEL_TRACES_SAMPLER: 'always_on' }, false), 40);
    assert.equal(await recorded({ OTEL_TRACES_SAMPLER: 'always_off' }, true), 0);
  });

  it('goes by the id of the trace, so that every service records the same ones', async () => {
    // The ids of these tests are low numbers behind one prefix.
    const half = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' };
    const [first, second] = [await recorded(half, false, 1), await recorded(half, true, 1)];
    assert.equal(first, second);
    const none = { ...half, OTEL_TRACES_SAMPLER_ARG: '0' };
    assert.equal(await recorded(none, true), 0);
  });
});

describe('Headers for a collector', () => {
  const read = (text: string) => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_HEADERS: text,
    };
    return readConfig(env, () => '').tracing?.headers;
  };

  it('are decoded', () => {
    const decoded = { authorization: 'Basic Zm9v=', 'x-tenant': 'shop' };
    assert.deepEqual(read('authorization=Basic%20Zm9v=, x-tenant=shop'), decoded);
  });

  it('W09 are refused at the start, and not shown, if no request can have them', () => {
    for (const text of ['s3cret', 'a=s3cret,', 'a=s3cret%0d%0ab: c', 'a=s3cret%00', 'a b=s3cret']) {
      assert.throws(
        () => read(text),
        (error: ConfigError) =>
          error.problems.some((each) => each.includes('OTEL_EXPORTER_OTLP_HEADERS')) &&
          !`${error.message} ${error.problems}`.includes('s3cret'),
        text,
      );
    }
  });
});

describe('A collector', () => {
  it('may be away: calls are answered, and the service stops', async () => {
    const service = await startTraced({ endpoint: 'http://127.0.0.1:1' });
    const { active } = await service.sessions.introspectToken({ token: 'x' });
    assert.equal(active, false);
    const lines = await logLines(() => service.app.stop());
    assert.ok(lines.some(({ component }) => component === 'tracing'));
  });

  it('gets protocol buffers unless told otherwise', async () => {
    const collector = await startCollector();
    const service = await startTraced(collector, { OTEL_EXPORTER_OTLP_PROTOCOL: '' });
    const { headers, traceId } = newTrace({ sampled: true });
    await service.sessions.introspectToken({ token: 'x' }, { headers });
    await service.app.stop();
    const [received] = collector.received;
    assert.equal(received?.headers['content-type'], 'application/x-protobuf');
    assert.ok(received?.body.includes(Buffer.from(traceId, 'hex')));
  });

  it('is all that loads OpenTelemetry, which one module imports', () => {
    const importing = (text: string) =>
      globSync('src/**/*.ts').filter((file) => readFileSync(file, 'utf8').includes(text));
    assert.deepEqual(importing("from '@opentelemetry/"), ['src/platform/open-telemetry.ts']);
    assert.deepEqual(importing('open-telemetry.ts'), ['src/platform/start-tracer.ts']);
    assert.match(
      readFileSync('src/platform/start-tracer.ts', 'utf8'),
      /await import\('.*open-telemetry\.ts'\)/,
    );
  });
});
