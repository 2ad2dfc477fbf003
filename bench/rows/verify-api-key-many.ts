import assert from 'node:assert/strict';
import { toBinary } from '@bufbuild/protobuf';
import { VerifyApiKeyResponseSchema } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { framed } from '../load/grpc-framing.ts';
import { sendVaried } from '../load/varied-load.ts';
import {
  insertKeys,
  VERIFICATION_PATH,
  verificationRequest,
  verifyOnce,
} from '../load/verification.ts';
import type { Contestant, Row } from '../report/row.ts';
import { perSecond } from '../report/table.ts';
import { startOnPostgres } from '../service/replica.ts';

const KEYS = 10_000;
const WARM_UP_MS = 2000;

/** Measures whether the check of a known key costs the same however many are known. */
export const verifyApiKeyMany: Row = {
  name: 'VerifyApiKeyMany',
  about: 'ApiKeyService/VerifyApiKey of 10,000 keys in rotation, against one of them',
  target: 0.85,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const secrets = await insertKeys(service, KEYS);
    const [first = ''] = secrets;
    const { grpcAddress: address } = service;
    const answer = await verifyOnce(address, first);
    // All answers about valid keys have the same length: only ids differ.
    const responseBytes = toBinary(VerifyApiKeyResponseSchema, answer).byteLength;
    const send = (next: () => Buffer | undefined) =>
      sendVaried({ address, path: VERIFICATION_PATH, next, responseBytes });
    const one = contestant(address, send, 'one key', [first]);
    await one.perSecond(1);
    const bodies = secrets.map((secret) => framed(verificationRequest(secret))).values();
    const cold = await send(() => bodies.next().value);
    process.stderr.write(`  first sight of each: ${perSecond(cold.perSecond)}/s\n`);
    return [contestant(address, send, '10,000 keys', secrets), one];
  },
};

type Send = (next: () => Buffer | undefined) => Promise<{ perSecond: number }>;

function contestant(
  address: string,
  send: Send,
  name: string,
  secrets: readonly string[],
): Contestant {
  const bodies = secrets.map((secret) => framed(verificationRequest(secret)));
  let turn = 0;
  const sendFor = (ms: number) => {
    const end = performance.now() + ms;
    return send(() => (performance.now() < end ? bodies[turn++ % bodies.length] : undefined));
  };
  return {
    name,
    async check() {
      const { valid } = await verifyOnce(address, secrets.at(-1) ?? '');
      assert.ok(valid, `${name}: not valid`);
    },
    async perSecond(seconds) {
      await sendFor(WARM_UP_MS);
      return (await sendFor(seconds * 1000)).perSecond;
    },
  };
}
