import assert from 'node:assert/strict';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AuthService,
  LoginRequestSchema,
  LoginResponseSchema,
} from '../../gen/countersign/v1/auth_service_pb.ts';
import { framed } from '../load/grpc-framing.ts';
import { signUpPeople } from '../load/people.ts';
import { sendVaried } from '../load/varied-load.ts';
import type { Contestant, Row } from '../report/row.ts';
import { type Cleanups, outputOf } from '../service/cleanups.ts';
import { PASSWORD } from '../service/passwords.ts';
import { startOnPostgres } from '../service/replica.ts';

const GRACE_MS = 10_000;
const WARM_UP_MS = 2000;

/** Whole sign-ins on PostgreSQL with their sessions and events. Hashing is the physical limit. */
export const login: Row = {
  name: 'Login',
  about:
    'AuthService/Login, 16 at once by 64 people, PostgreSQL, against the argon2 library by itself',
  target: 0.9,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    return [await signIns(service.grpcAddress), bareArgon2(cleanups)];
  },
};

/**
 * Returns a contestant of this name: sign-ins to a service, 16 at once, by 64 people in turn, since
 * those of one person wait for each other.
 */
export async function signIns(address: string, name = 'the service'): Promise<Contestant> {
  const people = await signUpPeople(address);
  const bodies = people.emails.map((email) => {
    const request = create(LoginRequestSchema, {
      email,
      password: PASSWORD,
      deviceLabel: 'bench',
    });
    return framed(toBinary(LoginRequestSchema, request));
  });
  const answer = create(LoginResponseSchema, {
    outcome: { case: 'tokens', value: await people.signIn() },
  });
  const load = {
    address,
    path: `/${AuthService.typeName}/${AuthService.method.login.name}`,
    responseBytes: toBinary(LoginResponseSchema, answer).byteLength,
    width: { connections: 4, streams: 4 },
  };
  let turn = 0;
  const send = async (ms: number) => {
    const end = performance.now() + ms;
    const next = () => (performance.now() < end ? bodies[turn++ % bodies.length] : undefined);
    return (await sendVaried({ ...load, next })).perSecond;
  };
  return {
    name,
    check: async () => void (await people.signIn()),
    async perSecond(seconds) {
      await send(WARM_UP_MS);
      return send(seconds * 1000);
    },
  };
}

/** A process that only checks a password, repeatedly and on all cores. */
function bareArgon2(cleanups: Cleanups): Contestant {
  const measure = async (seconds: number) => {
    const args = ['bench/load/argon2-verify.ts', String(seconds)];
    const child = cleanups.process(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return Number(await outputOf(child, seconds * 1000 + GRACE_MS));
  };
  return {
    name: 'the argon2 library by itself',
    check: async () => assert.ok((await measure(1)) > 0),
    perSecond: measure,
  };
}
