import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Cleanups } from '../service/cleanups.ts';

/** A revocation that has not been seen after this long counts as lost. */
export const TIMEOUT_MS = 10_000;

export type Sessions = Client<typeof SessionService>;

/** Returns a client of the sessions of a service. */
export function sessionsOf(address: string): Sessions {
  return createClient(SessionService, createGrpcTransport({ baseUrl: `http://${address}` }));
}

/** Reads the revocations of a replica, and notes when each arrived. */
export class RevocationReader {
  readonly #seenAt = new Map<string, number>();
  readonly #waiting = new Map<string, (at: number) => void>();

  async read(sessions: Sessions, signal: AbortSignal, caughtUp: () => void): Promise<void> {
    for await (const { event } of sessions.watchRevocations({ cursor: '' }, { signal })) {
      if (event.case === 'checkpoint') caughtUp();
      if (event.case === 'revocation' && event.value.target.case === 'sessionId') {
        this.#note(event.value.target.value, performance.now());
      }
    }
  }

  #note(sessionId: string, at: number): void {
    this.#seenAt.set(sessionId, at);
    this.#waiting.get(sessionId)?.(at);
  }

  /** Returns when the revocation of a session arrived (ms, as `performance.now`), or waits for it. */
  async seenAt(sessionId: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const seen = this.#seenAt.get(sessionId);
    if (seen !== undefined) return seen;
    this.#waiting.set(sessionId, resolve);
    const late = new Error(`a revocation has not arrived after ${TIMEOUT_MS} ms`);
    const timer = setTimeout(() => reject(late), TIMEOUT_MS);
    return promise.finally(() => clearTimeout(timer));
  }
}

/** Starts a reader, and waits until it has received the revocations in force. */
export async function watchRevocations(
  cleanups: Cleanups,
  sessions: Sessions,
): Promise<RevocationReader> {
  const leaving = new AbortController();
  cleanups.add(() => leaving.abort());
  const { promise: caughtUp, resolve, reject } = Promise.withResolvers<void>();
  const reader = new RevocationReader();
  // Once it has caught up, a stream that ends shows as a revocation that never arrives.
  reader.read(sessions, leaving.signal, resolve).catch(reject);
  await caughtUp;
  return reader;
}
