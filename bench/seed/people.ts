import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { hashPassword } from '../../src/passwords/password-hash.ts';

const PEOPLE = 64;
export const PASSWORD = 'correct horse battery staple';

/** For rows that measure what a sign-in costs beside its hash: as cheap a one as the service takes. */
export const CHEAP_PASSWORDS = {
  COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
  COUNTERSIGN_ARGON2_TIME_COST: '1',
};

/** A hash of that password as a service with `CHEAP_PASSWORDS` makes it. */
export function cheapHash(): Promise<string> {
  return hashPassword(PASSWORD, { memoryCost: 7168, timeCost: 1 });
}

export type People = {
  /** The address of one of them. */
  email: string;
  /** Signs the next of them in. */
  signIn(): Promise<Tokens>;
  /** Has so many sign-ins under way at all times, until it is stopped. Gives how many were done. */
  storm(atOnce: number): { stop(): Promise<number> };
};

/** Signs 64 people up with a service that asks for no proof of their addresses. */
export async function signInsOf(address: string): Promise<People> {
  const auth = createClient(AuthService, createGrpcTransport({ baseUrl: `http://${address}` }));
  const emails = Array.from({ length: PEOPLE }, (_, i) => `person-${i}@example.com`);
  for (const email of emails) await auth.signUp({ email, password: PASSWORD });
  let turn = 0;
  const signIn = async () => {
    const email = emails[turn++ % PEOPLE] ?? '';
    const { outcome } = await auth.login({ email, password: PASSWORD, deviceLabel: 'bench' });
    if (outcome.case !== 'tokens') throw new Error('the sign-in gave no tokens');
    return outcome.value;
  };
  return {
    email: emails[0] ?? '',
    signIn,
    storm(atOnce) {
      let going = true;
      let done = 0;
      const work = async () => {
        for (; going; done += 1) await signIn();
      };
      const all = Promise.all(Array.from({ length: atOnce }, work));
      return {
        async stop() {
          const counted = done;
          going = false;
          await all;
          return counted;
        },
      };
    },
  };
}
