import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createRouterTransport } from '@connectrpc/connect';
import {
  SessionService,
  type WatchRevocationsResponseSchema,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { createTestIssuer } from '../../packages/verifier/src/testing.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { reasonAt, untilReason } from './verifiers.ts';

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
});
