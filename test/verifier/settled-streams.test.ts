import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { RevocationSchema } from '../../packages/verifier/gen/countersign/v1/session_service_pb.ts';
import { VerifierError } from '../../packages/verifier/src/errors.ts';
import { OpenStreams } from '../../packages/verifier/src/streams.ts';
import { atEnd } from '../harness/at-end.ts';

describe('A stream whose key has a limit', () => {
  it('S13 ends although the service answers from before its owner was suspended', async () => {
    const answers: VerifierError[] = [
      new VerifierError('RATE_LIMITED', 'the limit is used up'),
      new VerifierError('ACCOUNT_SUSPENDED', 'the owner is not active'),
    ];
    const { promise: ended, resolve: end } = Promise.withResolvers<VerifierError>();
    const streams = new OpenStreams({
      objection: () => undefined,
      identify: async () => {
        throw answers.shift() ?? new Error('asked too often');
      },
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      asks: false,
      askEveryMs: 1000,
      recheckMs: 60_000,
    });
    const timer = setInterval(() => streams.tick(), 100);
    atEnd(() => clearInterval(timer));
    const subject = 'the owner';
    const principal = {
      type: 'user',
      ...{ subject, sessionId: '', apiKeyId: 'the key', tokenId: '', keyId: '' },
      ...{ emailVerified: true, roles: [], permissions: [], scopes: [], amr: [], audience: [] },
      ...{ authTime: 0, issuedAt: 0, expiresAt: Infinity, tokenVersion: undefined, actors: [] },
    } as const;
    const verdict = { principal, isLimited: true };
    streams.add({ credential: 'csk_x', presented: {}, verdict, requires: () => {}, end });
    streams.hear(create(RevocationSchema, { target: { case: 'subject', value: { subject } } }));
    assert.equal((await ended).reason, 'ACCOUNT_SUSPENDED');
    assert.equal(streams.size, 0);
  });
});
