import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { createTestIssuer } from '../../packages/verifier/src/testing.ts';
import { atEnd } from '../harness/at-end.ts';
import { refusal } from '../harness/refusal.ts';
import { grpcShop } from './shop-servers.ts';

/** Asks for the message before anyone else does, and before the call is admitted. */
const eager: ServerInterceptor = (_, call) => {
  call.startRead();
  return new ServerInterceptingCall(call);
};

describe('A grpc-js server with a verifier and an interceptor that reads early', () => {
  it('runs no handler before the call is admitted', async () => {
    const [issuer, other] = [createTestIssuer(), createTestIssuer()];
    atEnd(() => issuer.close());
    const verifier = issuer.createVerifier();
    await verifier.ready();
    const shop = await grpcShop(verifier, {}, [eager]);
    const calling = (token: string) => shop.client({ authorization: `Bearer ${token}` });
    const made = await refusal(calling(await other.token()).me({}));
    assert.equal(made.reason, 'TOKEN_INVALID');
    // Unknown at first, when the verification takes a moment, and known the second time.
    const client = calling(await issuer.token({ subject: SUBJECT }));
    for (const _ of ['unknown', 'known']) assert.equal((await client.me({})).subject, SUBJECT);
  });
});

const SUBJECT = '01890a5d-ac96-774b-bcce-b302099a8057';
