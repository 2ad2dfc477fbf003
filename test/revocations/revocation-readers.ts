import assert from 'node:assert/strict';
import type { Client } from '@connectrpc/connect';
import {
  type Revocation,
  SessionService,
  type WatchRevocationsResponse,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import type { Protocol } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import type { Service } from '../harness/service.ts';

/** A connected reader of the feed, and what it has been told so far. */
export class Reader {
  readonly told: WatchRevocationsResponse[] = [];
  /** What the stream ended with, when it has. */
  readonly ended: Promise<unknown>;
  readonly #leaving = new AbortController();

  constructor(sessions: Client<typeof SessionService>, cursor = '') {
    const { signal } = this.#leaving;
    this.ended = this.#read(sessions.watchRevocations({ cursor }, { signal })).catch(
      (error: unknown) => error,
    );
    atEnd(() => this.leave());
  }

  async #read(stream: AsyncIterable<WatchRevocationsResponse>): Promise<void> {
    for await (const response of stream) this.told.push(response);
  }

  leave(): Promise<unknown> {
    this.#leaving.abort();
    return this.ended;
  }

  get cursor(): string {
    return this.told.at(-1)?.cursor ?? '';
  }

  get caughtUp(): boolean {
    return this.count('checkpoint') > 0;
  }

  count(event: 'checkpoint' | 'resync' | 'revocation'): number {
    return this.told.filter((each) => each.event.case === event).length;
  }

  get revocations(): Revocation[] {
    return this.told.flatMap(({ event }) => (event.case === 'revocation' ? [event.value] : []));
  }

  /** The revocation of a session, a token, an API key or a signing key, if it has been told. */
  of(id: string): Revocation | undefined {
    return this.revocations.find(({ target }) =>
      target.case === 'subject' ? target.value.subject === id : target.value === id,
    );
  }

  /** Waits for a revocation for as long as is promised (S09). */
  async hears(id: string, withinMs = 1000): Promise<Revocation> {
    await eventually(() => this.of(id) !== undefined, withinMs);
    const found = this.of(id);
    assert.ok(found);
    return found;
  }
}

/** A reader who has been told what is in force. */
export async function reader(
  service: Service,
  {
    cursor = '',
    protocol = 'grpc' as Protocol,
    accessToken = undefined as string | undefined,
  } = {},
): Promise<Reader> {
  const found = new Reader(service.client(SessionService, protocol, accessToken), cursor);
  await eventually(() => found.caughtUp);
  return found;
}

/** Records a revocation, as a replica of any version might. */
export async function revoke(
  service: Service,
  kind: string,
  target: string,
  { notBefore = null as Date | null, expiresIn = '10 minutes', ago = '0' } = {},
): Promise<void> {
  await sql(
    service.databaseUrl,
    `insert into revocations (id, kind, target, not_before, cause, expires_at, created_at)
     values (gen_random_uuid(), $1, $2, $3, 'test', now() + $4::interval,
       clock_timestamp() - $5::interval)`,
    [kind, target, notBefore, expiresIn, ago],
  );
}
