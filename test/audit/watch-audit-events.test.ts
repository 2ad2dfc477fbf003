import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Client, Code } from '@connectrpc/connect';
import {
  AuditService,
  type WatchAuditEventsResponse,
} from '../../gen/countersign/v1/audit_service_pb.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { person, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { auditor, caughtUp, chained, seed } from './trail.ts';

const limits = { checkpointMs: 200 };

/** A connected reader, and what it has been told so far. */
class Reader {
  readonly told: WatchAuditEventsResponse[] = [];
  readonly ended: Promise<unknown>;
  readonly #leaving = new AbortController();

  constructor(audit: Client<typeof AuditService>, cursor = '', types: string[] = []) {
    const { signal } = this.#leaving;
    const read = async () => {
      const stream = audit.watchAuditEvents({ cursor, filters: { types } }, { signal });
      for await (const response of stream) this.told.push(response);
    };
    this.ended = read().catch((error: unknown) => error);
    atEnd(() => this.leave());
  }

  leave(): Promise<unknown> {
    this.#leaving.abort();
    return this.ended;
  }

  get positions(): number[] {
    return this.told.flatMap(({ event }) =>
      event.case === 'auditEvent' ? [Number(event.value.position)] : [],
    );
  }

  get cursor(): string {
    return this.told.at(-1)?.cursor ?? '';
  }

  count(event: string): number {
    return this.told.filter((each) => each.event.case === event).length;
  }
}

const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe('WatchAuditEvents', () => {
  let service: Service;
  let replica: Service;
  let audit: Client<typeof AuditService>;
  let token: string;

  before(async () => {
    service = await startService({ limits });
    replica = await startReplica(service, { limits });
    await seed(service, 350);
    const { email } = await signedIn(service);
    await sql(service.databaseUrl, `update accounts set roles = '{user,admin}' where email = $1`, [
      email,
    ]);
    const { outcome } = await service.auth.login({
      email,
      password: 'correct horse battery staple',
    });
    assert.equal(outcome.case, 'tokens');
    token = outcome.case === 'tokens' ? outcome.value.accessToken : '';
    audit = service.client(AuditService, 'grpc', token);
    await chained(service);
  });

  for (const protocol of PROTOCOLS) {
    it(`E01 tells by ${protocol} what is kept, in order, and then what comes, on every replica`, async () => {
      const readers = [service, replica].map(
        (at) => new Reader(at.client(AuditService, protocol, token)),
      );
      const [here, there] = readers;
      assert.ok(here && there);
      await eventually(() => readers.every((each) => each.count('checkpoint') > 0));
      await signedIn(service);
      const last = await chained(service);
      await eventually(() => readers.every((each) => each.positions.at(-1) === last));
      for (const each of readers) {
        assert.deepEqual(each.positions, upTo(last));
        assert.equal(each.count('resync'), 0);
        await each.leave();
      }
    });
  }

  it('E01 continues from a cursor after a restart, and on another replica: nothing twice, nothing lost', async () => {
    const first = await startReplica(service, { limits });
    const reading = new Reader(first.client(AuditService, 'grpc', token));
    await eventually(() => reading.count('checkpoint') > 0);
    await signedIn(service);
    const heard = await chained(service);
    await eventually(() => reading.positions.at(-1) === heard);
    await first.app.stop();
    const refused = await refusal(reading.ended.then((error) => Promise.reject(error)));
    assert.deepEqual([refused.code, refused.reason], [Code.Unavailable, 'SHUTTING_DOWN']);
    await signedIn(service);
    const second = await startReplica(service, { limits });
    const resumed = new Reader(second.client(AuditService, 'grpc', token), reading.cursor);
    await signedIn(replica);
    const last = await chained(service);
    await eventually(() => resumed.positions.at(-1) === last);
    assert.deepEqual([...reading.positions, ...resumed.positions], upTo(last));
    assert.equal(resumed.count('resync'), 0);
  });

  it('E01 continues from the cursor of any event', async () => {
    const { events } = await caughtUp(audit);
    const stream = new Reader(audit);
    await eventually(() => stream.positions.includes(123));
    const at = stream.told.findIndex(
      ({ event }) => event.case === 'auditEvent' && event.value.position === 123n,
    );
    const resumed = await caughtUp(audit, stream.told[at]?.cursor);
    assert.deepEqual(
      resumed.events.map(({ position }) => Number(position)),
      upTo(events.length, 124),
    );
  });

  it('leaves out events that the filters exclude, and moves the cursor past them', async () => {
    const types = ['session.created'];
    const filtered = await caughtUp(audit, '', { types });
    assert.ok(filtered.events.length > 0);
    assert.deepEqual(new Set(filtered.events.map(({ type }) => type)), new Set(types));
    const after = await caughtUp(audit, filtered.cursor, { types });
    assert.deepEqual(after.events, []);
    await seed(service, 6000);
    const last = await chained(service);
    const none = await caughtUp(audit, after.cursor, { types });
    assert.deepEqual(none.events, []);
    const rest = await caughtUp(audit, none.cursor);
    assert.deepEqual([rest.events.length, last > 6000], [0, true]);
  });

  it('keeps sending checkpoints', async () => {
    const { cursor } = await caughtUp(audit);
    const reader = new Reader(audit, cursor, ['test.nothing']);
    await eventually(() => reader.count('checkpoint') >= 4);
    assert.equal(reader.told.length, reader.count('checkpoint'));
  });

  it('makes a reader with a bad cursor start again', async () => {
    const { cursor } = await caughtUp(audit, '', { types: ['test.nothing'] });
    const place = Buffer.from(cursor, 'base64url');
    const with_ = (at: number, value: number) => {
      const bytes = Buffer.from(place);
      bytes.writeUInt8(value, at);
      return bytes.toString('base64url');
    };
    const cursors = {
      'of the future': with_(4, 1),
      'of another chain': with_(16, (place.at(-1) ?? 0) ^ 1),
      'of another version': with_(0, 2),
      junk: 'junk',
      'nothing like it': '\u{1f600}'.repeat(20),
    };
    for (const [kind, bad] of Object.entries(cursors)) {
      const { events, cases } = await caughtUp(audit, bad, { types: ['session.created'] });
      assert.equal(cases[0], 'resync', kind);
      assert.ok(events.length > 0, kind);
    }
    const refused = await refusal(
      Array.fromAsync(audit.watchAuditEvents({ cursor: 'A'.repeat(201) })),
    );
    assert.deepEqual(refused.fields, ['cursor']);
  });

  it('makes readers start again when the database is restored', async () => {
    const own = await startService({ limits });
    const reader = new Reader(await auditor(own));
    await eventually(() => reader.count('checkpoint') > 0);
    await chained(own);
    const [row] = await sql<{ kept: string }>(
      own.databaseUrl,
      'select to_json(c)::text as kept from audit_chain c',
    );
    await signedIn(own);
    const last = await chained(own);
    await eventually(() => reader.positions.at(-1) === last);
    await sql(
      own.databaseUrl,
      `with back as (
         update audit_chain c set position = e.position, hash = e.hash, mac = e.mac
         from json_populate_record(null::audit_chain, $1) e returning e.position)
       delete from audit_events where audit_events.position > (select position from back)`,
      [row?.kept],
    );
    await eventually(() => reader.count('resync') === 1);
  });

  it('W02 leaves places for others, whichever keys and sessions one subject uses', async () => {
    const small = await startReplica(service, { limits: { ...limits, maxAuditWatchers: 8 } });
    const greedy = await person(service, 'user', 'auditor');
    const keys = await Promise.all(
      [1, 2].map(() => newKey(service, greedy, { scopes: ['audit.read'] })),
    );
    const watching = async (credential: string) => {
      const one = new Reader(small.client(AuditService, 'grpc', credential));
      await eventually(() => one.count('checkpoint') > 0);
      return one;
    };
    const held = [await watching(keys[0]?.secret ?? ''), await watching(greedy.accessToken)];
    for (const credential of [greedy.accessToken, ...keys.map(({ secret }) => secret)]) {
      const audit = small.client(AuditService, 'grpc', credential);
      const refused = await refusal(Array.fromAsync(audit.watchAuditEvents({})));
      assert.deepEqual([refused.code, refused.reason], [Code.ResourceExhausted, 'OVERLOADED']);
      assert.ok(refused.retryAfterMs);
    }
    await watching(token);
    await held[0]?.leave();
    await eventually(async () => {
      const next = new Reader(small.client(AuditService, 'grpc', greedy.accessToken));
      await eventually(() => next.count('checkpoint') > 0, 300).catch(() => {});
      await next.leave();
      return next.count('checkpoint') > 0;
    });
  });

  it('accepts a limited number of readers, and frees what it holds for one who has gone', async () => {
    const small = await startReplica(service, { limits: { ...limits, maxAuditWatchers: 1 } });
    const client = small.client(AuditService, 'grpc', token);
    const one = new Reader(client);
    await eventually(() => one.count('checkpoint') > 0);
    const refused = await refusal(Array.fromAsync(client.watchAuditEvents({})));
    assert.deepEqual([refused.code, refused.reason], [Code.ResourceExhausted, 'OVERLOADED']);
    await one.leave();
    await eventually(async () => {
      const next = new Reader(client);
      await eventually(() => next.count('checkpoint') > 0, 300).catch(() => {});
      await next.leave();
      return next.count('checkpoint') > 0;
    });
  });
});
