import { create, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AuthService, SignUpRequestSchema } from '../../gen/countersign/v1/auth_service_pb.ts';
import { framed } from '../load/grpc-framing.ts';
import { sendVaried } from '../load/varied-load.ts';
import type { Contestant, Row } from '../report/row.ts';
import { PASSWORD } from '../service/passwords.ts';
import { startOnPostgres } from '../service/replica.ts';
import { signIns } from './login.ts';

const WARM_UP_MS = 2000;

/** Whole sign-ups on PostgreSQL: the password is judged and hashed, the account made, the mail queued. */
export const signUp: Row = {
  name: 'SignUp',
  about: 'AuthService/SignUp, 16 at once, each with a new address, PostgreSQL, against Login',
  target: 0.9,
  async prepare(cleanups, options) {
    const { grpcAddress } = await startOnPostgres(cleanups, options);
    return [signUps(grpcAddress), await signIns(grpcAddress, 'sign-ins')];
  },
};

function signUps(address: string): Contestant {
  const { typeName, method } = AuthService;
  let turn = 0;
  const newcomer = () => ({ email: `newcomer-${turn++}@example.com`, password: PASSWORD });
  const send = async (ms: number) => {
    const end = performance.now() + ms;
    const next = () => {
      if (performance.now() >= end) return undefined;
      return framed(toBinary(SignUpRequestSchema, create(SignUpRequestSchema, newcomer())));
    };
    const load = { address, path: `/${typeName}/${method.signUp.name}`, responseBytes: 0 };
    return (await sendVaried({ ...load, width: { connections: 4, streams: 4 }, next })).perSecond;
  };
  return {
    name: 'sign-ups',
    async check() {
      const auth = createClient(AuthService, createGrpcTransport({ baseUrl: `http://${address}` }));
      const person = newcomer();
      await auth.signUp(person);
      const { outcome } = await auth.login(person);
      if (outcome.case !== 'tokens') throw new Error('the sign-in returned no tokens');
    },
    async perSecond(seconds) {
      await send(WARM_UP_MS);
      return send(seconds * 1000);
    },
  };
}
