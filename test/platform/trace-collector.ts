import type { IncomingMessage } from 'node:http';
import { startTarget } from '../webhooks/target-server.ts';

type Value = { stringValue?: string; intValue?: string | number; doubleValue?: number };
type Attribute = { key: string; value: Value };

/** A span as OTLP has it in JSON: https://github.com/open-telemetry/opentelemetry-proto */
type OtlpSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  status: { code?: number };
};

type Export = {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: OtlpSpan[] }[];
  }[];
};

export type ReceivedSpan = Omit<OtlpSpan, 'attributes'> & {
  attributes: Record<string, string | number | undefined>;
};

/** What it is told of: 2 is a server's span, 3 a client's. */
export const [SERVER, CLIENT] = [2, 3] as const;

/** A collector that keeps what it receives. */
export async function startCollector() {
  const { received, url } = await startTarget((response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
  );
  const exports = () => received.map(({ body }) => JSON.parse(body.toString()) as Export);
  return {
    endpoint: new URL(url).origin,
    /** The bytes of all requests, with their paths and headers. */
    received: received as readonly {
      url: string;
      headers: IncomingMessage['headers'];
      body: Buffer;
    }[],
    spans: (): ReceivedSpan[] =>
      exports()
        .flatMap(({ resourceSpans }) => resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans)
        .flatMap(({ spans }) => spans)
        .map((span) => ({ ...span, attributes: valuesOf(span.attributes) })),
    resource: () => valuesOf(exports()[0]?.resourceSpans[0]?.resource.attributes ?? []),
  };
}

function valuesOf(attributes: readonly Attribute[]) {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const { stringValue, intValue, doubleValue } = value;
      return [
        key,
        stringValue ?? doubleValue ?? (intValue === undefined ? undefined : Number(intValue)),
      ];
    }),
  );
}

let traces = 0;

/** A header that names a trace which no other test uses. */
export function newTrace({ sampled }: { sampled: boolean }) {
  traces += 1;
  const traceId = `4bf92f3577b34da6${traces.toString(16).padStart(16, '0')}`;
  const parentId = `00f067aa${traces.toString(16).padStart(8, '0')}`;
  const traceparent = `00-${traceId}-${parentId}-0${sampled ? 1 : 0}`;
  return { traceId, parentId, headers: { traceparent } };
}
