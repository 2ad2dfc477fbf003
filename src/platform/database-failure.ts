import { Failure, unavailable } from './failure.ts';

/** Connection exceptions, by class of SQLSTATE (PostgreSQL, appendix A). */
const AWAY = /^(08|57P|53|58|XX)/;
/** Cancelled by a timeout; failed over to a replica; raced with another transaction. */
const PASSING = new Set(['57014', '25006', '40001', '40P01', '55P03', '28P01', '28000', '3D000']);
const SOCKET = new Set([
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
 * What a caller is told of a database error: a failure of ours keeps its words; a database that is
 * away, frozen or overloaded is `unavailable` or `exhausted`. Anything else is returned as it is: a
 * bug, which the error interceptor shows as an internal error.
 */
export function databaseFailure(error: unknown, kind: 'postgresql' | 'embedded'): unknown {
  if (error instanceof Failure || !(error instanceof Error)) return error;
  for (const cause of chain(error)) {
    const code = String(cause.code ?? '');
    if (code === '25006' && kind === 'embedded') return storageFull(error);
    if (/timeout exceeded when trying to connect/.test(cause.message)) return exhausted(error);
    if (code === '53300') return exhausted(error);
    if (AWAY.test(code) || PASSING.has(code) || SOCKET.has(code)) {
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

/** MikroORM's exceptions keep what they were made of under this name. */
function previous(error: Error): unknown {
  return (error as { previous?: unknown }).previous;
}

function exhausted(cause: Error): Failure {
  return new Failure(
    'exhausted',
    'OVERLOADED',
    'every database connection is in use',
    { retryAfterMs: 1000 },
    cause,
  );
}

function storageFull(cause: Error): Failure {
  return new Failure(
    'exhausted',
    'STORAGE_FULL',
    'the disk of the embedded database is nearly full; nothing is written until there is room',
    { retryAfterMs: 30_000 },
    cause,
  );
}
