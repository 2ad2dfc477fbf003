import { Counter, Gauge, Histogram, type MetricConfiguration, Registry } from 'prom-client';
import type { Sample } from './counts.ts';
import type { Distribution } from './durations.ts';
import { processMetrics } from './process-metrics.ts';

/** What a metric is called, what it means, and which labels it has. */
export type Described = { name: string; help: string; labels?: readonly string[] };

type Maybe<T> = T | Promise<T>;

/**
 * The metrics of this replica. It holds no values: each metric is read when it is asked for, from the
 * fields in which the code in question counts anyway.
 */
export class Metrics {
  readonly #registry = new Registry();
  #reading: Promise<string> | undefined;

  /** A number that only grows. */
  counter(metric: Described, read: () => Iterable<Sample>): void {
    const counter: Counter = new Counter({
      ...this.#config(metric),
      collect() {
        counter.reset();
        for (const { labels, value } of read()) counter.inc(labels, value);
      },
    });
  }

  /** A number that goes up and down. If it can't be read, the metric has no value for once. */
  gauge(metric: Described, read: () => Maybe<Iterable<Sample>>): void {
    const gauge: Gauge = new Gauge({
      ...this.#config(metric),
      async collect() {
        const samples = await Promise.resolve()
          .then(read)
          .catch(() => []);
        gauge.reset();
        // Without labels it begins again with a zero, which nobody has read.
        if (!metric.labels) gauge.remove();
        for (const { labels, value } of samples) gauge.set(labels, value);
      },
    });
  }

  /** Durations in seconds. */
  histogram(metric: Described, read: () => Iterable<Distribution>): void {
    new CountedElsewhere(this.#config(metric), read);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /**
   * All metrics, in the text format of Prometheus. Reading them takes milliseconds, so those who ask at the
   * same time are told the same.
   */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string> {
    const [own, ofProcess] = await Promise.all([
      this.#registry.metrics(),
      processMetrics().metrics(),
    ]);
    return `${own}\n${ofProcess}`;
  }

  #config({ name, help, labels = [] }: Described) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

/** A histogram whose ranges were counted in fields of ours, which the library has no way to take over. */
class CountedElsewhere extends Histogram {
  readonly #of: { name: string; help: string };
  readonly #read: () => Iterable<Distribution>;

  constructor(config: MetricConfiguration<string>, read: () => Iterable<Distribution>) {
    super(config);
    this.#of = config;
    this.#read = read;
  }

  override async get() {
    const { name, help } = this.#of;
    const values = [...this.#read()].flatMap((each) => lines(name, each));
    // The library's type is an enum that does not exist when the program runs.
    const type = 'histogram' as never;
    return { name, help, type, aggregator: 'sum' as const, collect: () => {}, values };
  }

  /** What the registry calls in place of `get` if it is there. */
  getForPromString() {
    return this.get();
  }
}

function lines(name: string, { labels, bounds, counts, sum }: Distribution) {
  let count = 0;
  const buckets = counts.map((inRange, place) => {
    count += inRange;
    const le = place < bounds.length ? String(bounds[place]) : '+Inf';
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
