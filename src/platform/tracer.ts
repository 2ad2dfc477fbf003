export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * What a piece of work is called, and whether we do it for someone (`server`), ask someone else for it
 * (`client`), or do it ourselves. Names are few: never an id or an address.
 */
export type SpanOptions = {
  name: string;
  kind: 'server' | 'client' | 'internal';
  attributes?: Attributes;
};

/** A piece of work that is being recorded. */
export type Span = {
  readonly traceId: string;
  /** Names it to whoever is asked for a part of the work. W3C Trace Context, section 3.2. */
  readonly traceparent: string;
  /** Runs some of the work: parts that begin in it belong to it. */
  run<T>(work: () => T): T;
  set(attributes: Attributes): void;
  /** Says what kind of failure it ended with, of few kinds. */
  failed(kind: string): void;
  end(): void;
};

/** Records what is done in the course of a call, and how long it takes. */
export type Tracer = {
  /**
   * Begins work that nothing here began, as a part of the trace that `traceparent` names, or as a trace of
   * its own. Returns undefined if it is not to be recorded.
   */
  begin(options: SpanOptions, traceparent?: string): Span | undefined;
  /** Runs a part of the work under way. It is recorded if that is. */
  part<T>(options: SpanOptions, work: (span?: Span) => Promise<T>): Promise<T>;
  /** Hands over what has been recorded. Throws nothing. */
  close(): Promise<void>;
};

/** Records nothing. */
export const noTracer: Tracer = {
  begin: () => undefined,
  part: (_options, work) => work(),
  close: async () => {},
};

/** Runs work that nothing here began, as `begin` says. */
export async function begun<T>(
  tracer: Tracer,
  options: SpanOptions,
  work: (span?: Span) => Promise<T>,
): Promise<T> {
  const span = tracer.begin(options);
  return span ? recorded(span, () => work(span)) : work();
}

/** Runs work that has begun, and ends it. */
export async function recorded<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await span.run(work);
  } catch (error) {
    span.failed(error instanceof Error ? error.name : typeof error);
    throw error;
  } finally {
    span.end();
  }
}
