import { type DestinationStream, pino } from 'pino';

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
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => allowed(fields as LogFields),
      },
    },
    destination ?? pino.destination({ dest: 1, sync: false }),
  );
  return logger;
}

function allowed(fields: LogFields): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const field of FIELDS) {
    if (fields[field] !== undefined) kept[field] = fields[field];
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
