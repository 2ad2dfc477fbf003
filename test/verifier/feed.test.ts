import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createRouterTransport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import {
  SessionService,
  type WatchRevocationsResponseSchema,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { createTestIssuer } from '../../packages/verifier/src/testing.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { startService } from '../harness/service.ts';
import { MachineClock, reasonAt, untilReason, verifierAt } from './verifiers.ts';

const SILENCE_MS = 15_000;

type Message = MessageInitShape<typeof WatchRevocationsResponseSchema>;

/** A feed that says what a test tells it, and the cursors with which it was asked. */
class Script {
  readonly cursors: string[] = [];
  #messages: (Message | 'end')[] = [];
  #wake = Promise.withResolvers<void>();

  say(...messages: (Message | 'end')[]): void {
    this.#messages.push(...messages);
    this.#wake.resolve();
  }

  readonly transport = createRouterTransport(({ service }) => {
    const script = this;
    service(SessionService, {
      async *watchRevocations({ cursor }, { signal }) {
        script.cursors.push(cursor);
        while (!signal.aborted) {
          const message = script.#messages.shift();
          if (message === 'end') return;
          if (message) yield message;
          else {
            script.#wake = Promise.withResolvers();
            await script.#wake.promise;
          }
        }
      },
    });
  });
}

const ended = (sessionId: string, cursor: string): Message => ({
  cursor,
  event: {
    case: 'revocation',
    value: {
      target: { case: 'sessionId', value: sessionId },
      expiresAt: timestampFromMs(Date.now() + 1_800_000),
    },
  },
});
const checkpoint = (cursor: string, caughtUp = false): Message => ({
  cursor,
  event: { case: 'checkpoint', value: { caughtUp, asOf: timestampFromMs(Date.now()) } },
});
const resync: Message = { cursor: '', event: { case: 'resync', value: {} } };

async function scripted() {
  const issuer = createTestIssuer();
  const script = new Script();
  const verifier = issuer.createVerifier({ transport: script.transport });
  atEnd(() => issuer.close());
  const [first, second] = [randomUUID(), randomUUID()];
  const tokens = {
    first: await issuer.token({ sessionId: first }),
    second: await issuer.token({ sessionId: second }),
  };
  return { script, verifier, first, second, tokens };
}

describe('A verifier that follows revocations', () => {
  it('M04 goes by nothing before it has heard everything in force', async () => {
    const { script, verifier, first, tokens } = await scripted();
    script.say(ended(first, '1'), checkpoint('1'));
    assert.equal(await reasonAt(verifier, tokens.second), 'DEPENDENCY_UNAVAILABLE');
    assert.equal(verifier.state, 'starting');
    script.say(checkpoint('1', true));
    await untilReason(verifier, tokens.second, undefined);
    assert.equal(await reasonAt(verifier, tokens.first), 'TOKEN_REVOKED');
  });

  it('continues from its cursor when a stream ends', async () => {
    const { script, verifier, first, tokens } = await scripted();
    script.say(ended(first, '1'), checkpoint('2', true), 'end');
    await eventually(() => script.cursors.length === 2);
    assert.deepEqual(script.cursors, ['', '2']);
    assert.equal(await reasonAt(verifier, tokens.first), 'TOKEN_REVOKED');
    assert.equal(await reasonAt(verifier, tokens.second), undefined);
  });

  it('M04 discards nothing at a resync until it has heard everything again', async () => {
    const { script, verifier, first, second, tokens } = await scripted();
    script.say(ended(first, '1'), checkpoint('1', true));
    await untilReason(verifier, tokens.first, 'TOKEN_REVOKED');
    script.say(resync, ended(second, '2'));
    await untilReason(verifier, tokens.second, 'TOKEN_REVOKED');
    assert.equal(await reasonAt(verifier, tokens.first), 'TOKEN_REVOKED');
    script.say(checkpoint('2', true));
    // The service knows best: what it no longer tells has expired.
    await untilReason(verifier, tokens.first, undefined);
    assert.equal(await reasonAt(verifier, tokens.second), 'TOKEN_REVOKED');
  });

  it('begins anew if it was cut off in a resync', async () => {
    const { script, verifier, first, second, tokens } = await scripted();
    script.say(ended(first, '1'), checkpoint('1', true), resync, ended(second, '2'), 'end');
    await eventually(() => script.cursors.length === 2);
    assert.deepEqual(script.cursors, ['', '']);
    assert.equal(await reasonAt(verifier, tokens.first), 'TOKEN_REVOKED');
    script.say(ended(second, '2'), checkpoint('2', true));
    await untilReason(verifier, tokens.first, undefined);
    assert.equal(await reasonAt(verifier, tokens.second), 'TOKEN_REVOKED');
  });

  it('M04 gives up a stream on which it hears nothing, and asks on another', async () => {
    const issuer = createTestIssuer();
    atEnd(() => issuer.close());
    const script = new Script();
    const machine = new MachineClock();
    const verifier = issuer.createVerifier({ transport: script.transport, clock: machine });
    script.say(checkpoint('1', true));
    await verifier.ready();
    assert.deepEqual(script.cursors, ['']);
    machine.pass(SILENCE_MS);
    await eventually(() => script.cursors.length === 2);
    assert.equal(script.cursors[1], '1');
    // A service that takes the call and says nothing is left as well.
    machine.pass(SILENCE_MS);
    await eventually(() => script.cursors.length === 3);
    script.say(checkpoint('2'));
    await verifier.ready(60_000);
  });
});

describe('A verifier after an hour without the service', () => {
  it('M04 has a cursor that is too old, and hears everything in force anew', async () => {
    const service = await startService({ limits: { checkpointMs: 100 } });
    const sent: string[] = [];
    let isAway = false;
    let cut = new AbortController();
    const transport = createConnectTransport({
      baseUrl: `http://${service.app.httpAddress}`,
      httpVersion: '1.1',
      interceptors: [
        (next) => async (req) => {
          if (!req.stream) return next(req);
          if (isAway) throw new ConnectError('away', Code.Unavailable);
          const signal = AbortSignal.any([req.signal, cut.signal]);
          return next({ ...req, signal, message: aged(req.message) as typeof req.message });
        },
      ],
    });
    /** The cursor of an hour that has not passed at the service's database. */
    async function* aged(messages: AsyncIterable<object>) {
      for await (const message of messages as AsyncIterable<{ cursor: string }>) {
        sent.push(message.cursor);
        yield { ...message, cursor: sent.length > 1 ? daysOld(message.cursor) : message.cursor };
      }
    }
    const machine = new MachineClock();
    const jwksUrl = `http://${service.app.httpAddress}/.well-known/jwks.json`;
    const verifier = verifierAt('', { transport, jwksUrl, clock: machine });
    const [before, during, good] = [
      await signedIn(service),
      await signedIn(service),
      await signedIn(service),
    ];
    for (const each of [before, during, good]) {
      assert.equal(await reasonAt(verifier, each.accessToken), undefined);
    }
    await service.auth.logout({ refreshToken: before.refreshToken });
    await untilReason(verifier, before.accessToken, 'TOKEN_REVOKED');
    isAway = true;
    cut.abort();
    await service.auth.logout({ refreshToken: during.refreshToken });
    machine.pass(3_600_000);
    for (const each of [before, during, good]) {
      await untilReason(verifier, each.accessToken, 'DEPENDENCY_UNAVAILABLE');
    }
    cut = new AbortController();
    isAway = false;
    await verifier.ready(60_000);
    assert.ok(sent.length > 1 && sent[1] !== '');
    for (const each of [before, during]) {
      await untilReason(verifier, each.accessToken, 'TOKEN_REVOKED');
    }
    await untilReason(verifier, good.accessToken, undefined);
  });
});

/** The same cursor, as it was a day earlier: see `RevocationCursor`. */
function daysOld(cursor: string): string {
  if (cursor === '') return cursor;
  const bytes = Buffer.from(cursor, 'base64url');
  bytes.writeBigUInt64BE(bytes.readBigUInt64BE(1) - 86_400_000_000n, 1);
  return bytes.toString('base64url');
}
