import type { IncomingHttpHeaders } from 'node:http';
import { DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS } from './limits.ts';

/** Timers are 32 bits wide and fire at once for longer waits, which 8 digits of hours can ask for. */
const MAX_STREAM_DEADLINE_MS = 24 * 3600_000;

const GRPC_UNITS = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 } as const;

/**
 * The milliseconds in a `grpc-timeout` header, or undefined if it is not as the protocol defines it.
 * grpc-js is less strict.
 */
export function grpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match ? Number(match[1]) * GRPC_UNITS[match[2] as keyof typeof GRPC_UNITS] : undefined;
}

/**
 * Writes the deadline that a call gets into its headers, and returns it in milliseconds. A header that
 * can't be read stays as it is, so that Connect refuses the call.
 */
export function limitConnectDeadline(
  headers: IncomingHttpHeaders,
  streaming: boolean,
): number | undefined {
  const isGrpcWeb = headers['content-type']?.startsWith('application/grpc-web') ?? false;
  const name = isGrpcWeb ? 'grpc-timeout' : 'connect-timeout-ms';
  const text = headers[name];
  const named = typeof text === 'string' ? parse(isGrpcWeb, text) : undefined;
  if (text !== undefined && named === undefined) return undefined;
  const limited = timeLimit(streaming, named);
  if (limited !== undefined) headers[name] = `${Math.ceil(limited)}${isGrpcWeb ? 'm' : ''}`;
  return limited;
}

/**
 * How long a call may take, in milliseconds: as long as its caller says. A unary call has a default,
 * and never gets more than our own limit.
 */
export function timeLimit(streaming: boolean, namedMs: number | undefined): number | undefined {
  if (!streaming) return Math.min(namedMs ?? DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS);
  return namedMs === undefined ? undefined : Math.min(namedMs, MAX_STREAM_DEADLINE_MS);
}

function parse(isGrpcWeb: boolean, text: string): number | undefined {
  if (isGrpcWeb) return grpcTimeout(text);
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
