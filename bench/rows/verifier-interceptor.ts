import assert from 'node:assert/strict';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { ShopService } from '../../test/gen/countersign/test/v1/shop_service_pb.ts';
import { grpcLoad } from '../load/h2load.ts';
import { Mint } from '../load/mint.ts';
import { ME_PATH, type Shop, startShop } from '../load/shop.ts';
import type { Contestant, Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

/** An answer is the field's tag, its length, and a UUID. */
const ANSWER_BYTES = 2 + 36;

/** What verifying tokens adds to the calls of a service of somebody else's. */
export const verifierInterceptor: Row = {
  name: 'VerifierInterceptor',
  about: "a grpc-js server with the verifier's interceptor, one token, against the same without",
  target: 0.9,
  async prepare(cleanups, { profileDirectory }) {
    const service = await startOnPostgres(cleanups, {});
    const token = await (await Mint.of(service)).token();
    const profile =
      profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
    const headers = { authorization: `Bearer ${token}` };
    const contestant = (name: string, { address }: Shop): Contestant => ({
      name,
      async check() {
        const transport = createGrpcTransport({ baseUrl: `http://${address}` });
        const { subject } = await createClient(ShopService, transport).me({}, { headers });
        assert.equal(subject.length, 36);
      },
      perSecond: grpcLoad(cleanups, {
        address,
        path: ME_PATH,
        request: new Uint8Array(),
        headers,
        responseBytes: ANSWER_BYTES,
      }),
    });
    return [
      contestant('with the interceptor', await startShop(cleanups, service, profile)),
      contestant('without', await startShop(cleanups, undefined)),
    ];
  },
};
