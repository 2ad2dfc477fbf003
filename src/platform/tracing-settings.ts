/** Which traces are recorded, by the names of OTEL_TRACES_SAMPLER. */
export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** Where traces go, and which. */
export type TracingSettings = {
  /** Of a collector, without the path of a signal. */
  endpoint: string;
  protocol: 'http/protobuf' | 'http/json';
  /** Sent with every request to the collector, credentials among them. */
  headers: Readonly<Record<string, string>>;
  serviceName: string;
  sampler: (typeof SAMPLERS)[number];
  /** For the samplers by ratio, 0 to 1. */
  ratio: number;
};
