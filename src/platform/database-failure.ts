import { Failure, unavailable } from './failure.ts';

/** Connection exceptions, by class of SQLSTATE (PostgreSQL, appendix A). */
const DISCONNECTED = /^(08|57P|53|58|XX)/;
/** Temporary conditions: cancelled by a timeout, failed over, in conflict with another transaction. */
const TEMPORARY = new Set(['57014', '25006', '40001', '40P01', '55P03', '28P01', '28000', '3D000']);
const SOCKET_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
]);

/**
 * Translates a database error for the caller: a `Failure` is kept, and a database that is unreachable,
 * frozen or overloaded becomes `unavailable` or `exhausted`. Anything else is returned as it is: a bug,
 * which the error interceptor shows as an internal error.
 */
export function databaseFailure(error: unknown, kind: 'postgresql' | 'embedded'): unknown {
  if (error instanceof Failure || !(error instanceof Error)) return error;
  for (const cause of chain(error)) {
    const code = String(cause.code ?? '');
    if (code === '25006' && kind === 'embedded') return storageFull(error);
    if (/timeout exceeded when trying to connect/.test(cause.message)) return exhausted(error);
    if (code === '53300') return exhausted(error);
    if (DISCONNECTED.test(code) || TEMPORARY.has(code) || SOCKET_ERRORS.has(code)) {
      return unavailable('the database', error);
    }
    if (
      /Query read timeout|Connection terminated|not queryable|driver has already been destroyed/.test(
        cause.message,
      )
    ) {
      return unavailable('the database', error);
    }
  }
  return error;
}

function* chain(error: Error): Generator<Error & { code?: unknown }> {
  for (let at: unknown = error; at instanceof Error; at = at.cause ?? previous(at)) yield at;
}

/** MikroORM's exceptions hold the error that they wrap under this name. */
function previous(error: Error): unknown {
  return (error as { previous?: unknown }).previous;
}

function exhausted(cause: Error): Failure {
  return new Failure(
    'exhausted',
    'OVERLOADED',
    'every database connection is in use; try again in a moment',
    { retryAfterMs: 1000 },
    cause,
  );
}

function storageFull(cause: Error): Failure {
  return new Failure(
    'exhausted',
    'STORAGE_FULL',
    'the disk of the embedded database is nearly full; nothing can be written until space is freed',
    { retryAfterMs: 30_000 },
    cause,
  );
}
