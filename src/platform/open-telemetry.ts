import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import {
  type Span as OtelSpan,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import program from '../../package.json' with { type: 'json' };
import { errorFields, type Log } from './log.ts';
import { type Attributes, recorded, type Span, type SpanOptions, type Tracer } from './tracer.ts';
import type { TracingSettings } from './tracing-settings.ts';

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
} as const;

/** How long (ms) a span waits for others to be sent together. */
const SEND_MS = 1000;
/** How long (ms) a stop waits for the collector to take what has been recorded. */
const CLOSE_MS = 2000;

/**
 * Records traces with OpenTelemetry and sends them to a collector by OTLP over HTTP. This module is
 * loaded only if a collector is configured.
 */
export class OpenTelemetry implements Tracer {
  readonly #provider: TracerProvider;
  readonly #tracer: OtelTracer;
  /** Of the traces that begin here, how many are recorded: 0 to 1. */
  readonly #share: number;
  readonly #byTraceId: TraceIdRatioBasedSampler;
  /** Whether callers who name a trace say whether it is recorded. */
  readonly #followsCallers: boolean;
  readonly #log: Pick<Log, 'warn'>;
  /** The work that is being recorded where the code runs. */
  readonly #active = new AsyncLocalStorage<RecordedSpan>();

  constructor(settings: TracingSettings, log: Pick<Log, 'warn'>) {
    const { endpoint, headers, protocol, serviceName } = settings;
    const Exporter = protocol === 'http/json' ? JsonExporter : ProtobufExporter;
    const exporter = new Exporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, headers });
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({
        'service.name': serviceName,
        'service.version': program.version,
      }),
      spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: SEND_MS })],
      // It is asked only about what has been decided.
      sampler: new AlwaysOnSampler(),
    });
    this.#tracer = this.#provider.getTracer('countersign', program.version);
    this.#share = shareOf(settings);
    this.#byTraceId = new TraceIdRatioBasedSampler(this.#share);
    this.#followsCallers = settings.sampler.startsWith('parentbased_');
    this.#log = log;
    this.#followRedis();
  }

  begin(options: SpanOptions, traceparent?: string): Span | undefined {
    const parent = (traceparent !== undefined && parseTraceParent(traceparent)) || undefined;
    return this.#isRecorded(parent) ? this.#start(options, parent) : undefined;
  }

  part<T>(options: SpanOptions, work: (span?: Span) => Promise<T>): Promise<T> {
    const around = this.#active.getStore();
    if (!around) return work();
    const span = this.#start(options, around.context);
    return recorded(span, () => work(span));
  }

  async close(): Promise<void> {
    try {
      await this.#provider.forceFlush({ timeoutMillis: CLOSE_MS });
      await this.#provider.shutdown();
    } catch (error) {
      const fields = { component: 'tracing', ...errorFields(error), stack: undefined };
      this.#log.warn(fields, 'the last spans were not delivered');
    }
  }

  /** Decided before anything is made for a call: most may be of traces that nobody records. */
  #isRecorded(parent: SpanContext | undefined): boolean {
    if (!parent) return Math.random() < this.#share;
    if (this.#followsCallers) return (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    const { decision } = this.#byTraceId.shouldSample(ROOT_CONTEXT, parent.traceId);
    return decision === SamplingDecision.RECORD_AND_SAMPLED;
  }

  #start({ name, kind, attributes }: SpanOptions, parent: SpanContext | undefined): RecordedSpan {
    const context = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
    const options = { kind: KINDS[kind], ...(attributes ? { attributes } : {}) };
    return new RecordedSpan(this.#tracer.startSpan(name, options, context), this.#active);
  }

  /** The client of Redis says itself what it does. Its arguments, which hold addresses, are left out. */
  #followRedis(): void {
    const spans = new WeakMap<object, RecordedSpan>();
    tracingChannel<string, { command: string }>('ioredis:command').subscribe({
      start: (message) => {
        const { command } = message as { command: string };
        const around = this.#active.getStore();
        if (!around) return;
        const attributes = { 'db.system.name': 'redis', 'db.operation.name': command };
        const options = { name: command, kind: 'client', attributes } as const;
        spans.set(message, this.#start(options, around.context));
      },
      end() {},
      asyncStart() {},
      asyncEnd: (message) => spans.get(message)?.end(),
      error: (message) => spans.get(message)?.failed('error'),
    });
  }
}

class RecordedSpan implements Span {
  readonly #span: OtelSpan;
  readonly #active: AsyncLocalStorage<RecordedSpan>;

  constructor(span: OtelSpan, active: AsyncLocalStorage<RecordedSpan>) {
    this.#span = span;
    this.#active = active;
  }

  get context(): SpanContext {
    return this.#span.spanContext();
  }

  get traceId(): string {
    return this.context.traceId;
  }

  get traceparent(): string {
    return `00-${this.context.traceId}-${this.context.spanId}-01`;
  }

  run<T>(work: () => T): T {
    return this.#active.run(this, work);
  }

  set(attributes: Attributes): void {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) this.#span.setAttribute(name, value);
    }
  }

  failed(kind: string): void {
    this.#span.setAttribute('error.type', kind);
    this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }

  end(): void {
    this.#span.end();
  }
}

function shareOf({ sampler, ratio }: TracingSettings): number {
  if (sampler.endsWith('always_on')) return 1;
  return sampler.endsWith('always_off') ? 0 : ratio;
}
