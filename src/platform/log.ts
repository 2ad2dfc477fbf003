import { type DestinationStream, pino } from 'pino';
import { type AnsweredCall, answeredLine } from './call-line.ts';
import { INFO, isoTime, type Output, StandardOutput } from './log-output.ts';

/**
 * Every field that a log line may have. Other fields are dropped, so logging an object can't leak a
 * request, a token or an address that it holds.
 */
const FIELDS = [
  'action',
  'address',
  'api_key_id',
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
  'position',
  'principal',
  'problems',
  'protocol',
  'reason',
  'request_id',
  'rule',
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

/** A log that answered calls are written to as well. */
export type CallLog = Log & {
  /** Writes the line of a call that was answered, at `info`. */
  answered(call: AnsweredCall): void;
};

/** Creates a log that writes JSON lines to `destination` (by default standard output). */
export function createLog(level: string, destination?: DestinationStream): CallLog {
  const output: Output = destination ?? new StandardOutput();
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
    output,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    answered(call) {
      if (!logger.isLevelEnabled('info')) return;
      output.lastLevel = INFO;
      output.write(answeredLine(call));
    },
  };
}

function allowed(fields: LogFields): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const field in fields) {
    if (ALLOWED.has(field)) kept[field] = fields[field as LogField];
  }
  return kept;
}

/**
 * Returns an error and its causes as log fields. Messages of libraries can quote data (SQL with its
 * values, an SMTP dialogue), so only name, code and constraint are kept.
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

/** Codes that say nothing to whoever reads them. */
const MEANINGS: Readonly<Record<string, string>> = {
  '08P01':
    '(the pooler in front of the database, such as PgBouncer, refused or ended the connection; its log says why)',
};

function describe(error: Error & { code?: unknown; constraint?: unknown }): string {
  const quotesNothing = error instanceof TypeError || error instanceof ReferenceError;
  const meaning = MEANINGS[String(error.code)];
  const message = quotesNothing ? error.message : undefined;
  return [error.name, error.code, error.constraint, meaning, message]
    .filter((part) => typeof part === 'string')
    .join(' ');
}

function framesOf(error: Error): string | undefined {
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return frames?.slice(0, 8).join('\n');
}
