import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { DATA, END_STREAM, frame, HEADERS, PING, RawHttp2, RST_STREAM } from './frames.ts';
import { pathOf } from './wire.ts';

const WHO_AM_I = pathOf(AccountService.method.getMe);
const INTROSPECT = pathOf(SessionService.method.introspectToken);
const EMPTY = Buffer.alloc(5);
/** What a waiting call costs on the fast path, and for how many of them one caller's share is enough. */
const CALL_BYTES = 8 * 1024;
const SHARE = 64;
const PER_CONNECTION = 60;

describe('what one known caller may hold', () => {
  let service: Service;

  before(async () => {
    const limits = { maxKnownHeldBytes: 4 * SHARE * CALL_BYTES, knownHeldShare: 1 / 4 };
    service = await startService({ limits });
  });

  /** A connection on which one call for each credential was answered; without any, by its address. */
  async function known(...credentials: string[]): Promise<RawHttp2> {
    const raw = await RawHttp2.to(service.app.grpcAddress);
    atEnd(() => raw.destroy());
    const calls = credentials.map((token) => [WHO_AM_I, { authorization: `Bearer ${token}` }]);
    const all = calls.length > 0 ? calls : [[INTROSPECT, {}]];
    for (const [index, [path, headers]] of (all as [string, Record<string, string>][]).entries()) {
      const stream = 2 * index + 1;
      raw.call(stream, path, headers);
      raw.write(frame(DATA, END_STREAM, stream, EMPTY));
      await eventually(() => raw.got(HEADERS, stream));
    }
    return raw;
  }

  /** Begins calls whose requests do not come. Gives how many of them are refused. */
  async function refused(connections: readonly RawHttp2[], calls: number): Promise<number> {
    for (const raw of connections) {
      for (let call = 0; call < calls; call += 1) raw.call(101 + 2 * call, WHO_AM_I);
      // What was sent before it has been dealt with when it is answered.
      raw.write(frame(PING, 0, 0, Buffer.alloc(8)));
      await eventually(() => raw.got(PING));
    }
    await new Promise(setImmediate);
    const resets = connections.flatMap(({ received }) =>
      received.filter(({ type }) => type === RST_STREAM),
    );
    return resets.length;
  }

  const open = (count: number, ...credentials: string[]) =>
    Promise.all(Array.from({ length: count }, () => known(...credentials)));

  it('W02 is a share for a principal, whatever number of connections it comes with', async () => {
    const [greedy, modest] = [await person(service), await person(service)];
    const connections = await open(4, greedy.accessToken);
    const others = await open(1, modest.accessToken);
    const waiting = 4 * PER_CONNECTION - (await refused(connections, PER_CONNECTION));
    assert.ok(waiting > 0 && waiting <= SHARE, `${waiting}`);
    assert.equal(await refused(others, SHARE / 2), 0);
    for (const raw of [...connections, ...others]) raw.destroy();
  });

  it('W02 is a share for an address, where several principals call on one connection, or none', async () => {
    const both = [(await person(service)).accessToken, (await person(service)).accessToken];
    const alone = (await person(service)).accessToken;
    const connections = [...(await open(2, ...both)), ...(await open(2))];
    const others = await open(1, alone);
    const waiting = 4 * PER_CONNECTION - (await refused(connections, PER_CONNECTION));
    assert.ok(waiting > 0 && waiting <= SHARE, `${waiting}`);
    assert.equal(await refused(others, SHARE / 2), 0);
    for (const raw of [...connections, ...others]) raw.destroy();
  });
});
