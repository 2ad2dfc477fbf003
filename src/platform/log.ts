import { type DestinationStream, levels, pino, symbols } from 'pino';

/**
 * Every field that a log line may have. A field that is not here is dropped, so that nobody logs a
 * request, a token or an address by logging an object that holds one.
 */
const FIELDS = [
  'action',
  'address',
  'attempt',
  'causes',
  'code',
  'component',
  'connection',
  'count',
  'dependency',
  'duration_ms',
  'files',
  'grpc',
  'http',
  'job',
  'key_id',
  'kind',
  'method',
  'migrations',
  'name',
  'pending',
  'principal',
  'problems',
  'protocol',
  'reason',
  'request_id',
  'session_id',
  'signal',
  'stack',
  'state',
  'status',
  'subject',
  'template',
  'trace_id',
  'version',
  'writable',
] as const;

type LogField = (typeof FIELDS)[number];
const ALLOWED: ReadonlySet<string> = new Set(FIELDS);
export type LogFields = Partial<Record<LogField, unknown>>;

export type Log = {
  [Level in 'debug' | 'info' | 'warn' | 'error']: (fields: LogFields, message: string) => void;
};

/** A logger that writes JSON lines of the allowed fields to `destination` (standard output). */
export function createLog(level: string, destination?: DestinationStream): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => allowed(fields as LogFields),
      },
    },
    destination ?? new StandardOutput(),
  );
  return logger;
}

/**
 * Writes the lines of one turn of the event loop together: a write of its own for each costs a call
 * more than to make the line. What is worse than `info` does not wait: it may be the last.
 */
class StandardOutput implements DestinationStream {
  readonly [symbols.needsMetadataGsym] = true;
  /** The level of the line that is being written; pino sets it. */
  lastLevel: number = levels.values['info'] ?? 0;
  readonly #output = pino.destination({ dest: 1, sync: false });
  #lines = '';

  write(line: string): void {
    if (this.#lines === '') setImmediate(this.#flush);
    this.#lines += line;
    if (this.lastLevel > (levels.values['info'] ?? 0)) this.#flush();
  }

  readonly #flush = (): void => {
    if (this.#lines === '') return;
    this.#output.write(this.#lines);
    this.#lines = '';
  };
}

let lastMs = 0;
let lastTime = '';

/** The time as a pino field; made once for all lines of a millisecond. */
function isoTime(): string {
  const now = Date.now();
  if (now !== lastMs) {
    lastMs = now;
    lastTime = `,"time":"${new Date(now).toISOString()}"`;
  }
  return lastTime;
}

function allowed(fields: LogFields): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const field in fields) {
    if (ALLOWED.has(field)) kept[field] = fields[field as LogField];
  }
  return kept;
}

/**
 * An error and what caused it, as log fields. The messages of foreign errors can quote what was sent
 * (SQL with its values, an SMTP dialogue), so of those only name, code and constraint are kept.
 */
export function errorFields(error: unknown): LogFields {
  const causes: string[] = [];
  let stack: string | undefined;
  for (let at: unknown = error; at instanceof Error && causes.length < 5; at = at.cause) {
    causes.push(describe(at));
    stack = framesOf(at) ?? stack;
  }
  return { causes: causes.length > 0 ? causes : [typeof error], stack };
}

function describe(error: Error & { code?: unknown; constraint?: unknown }): string {
  const quotesNothing = error instanceof TypeError || error instanceof ReferenceError;
  return [error.name, error.code, error.constraint, quotesNothing ? error.message : undefined]
    .filter((part) => typeof part === 'string')
    .join(' ');
}

function framesOf(error: Error): string | undefined {
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return frames?.slice(0, 8).join('\n');
}
