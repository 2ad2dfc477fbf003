import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { PASSWORD } from '../service/passwords.ts';

const PEOPLE = 64;

export type People = {
  /** The addresses of the people. */
  emails: readonly string[];
  /** Signs the next person in. */
  signIn(): Promise<Tokens>;
  /** Keeps this many sign-ins running until it is stopped. `stop` returns how many were completed. */
  storm(atOnce: number): { stop(): Promise<number> };
};

/** Signs 64 people up with a service that does not require verified addresses. */
export async function signUpPeople(address: string): Promise<People> {
  const auth = createClient(AuthService, createGrpcTransport({ baseUrl: `http://${address}` }));
  const emails = Array.from({ length: PEOPLE }, (_, i) => `person-${i}@example.com`);
  for (const email of emails) await auth.signUp({ email, password: PASSWORD });
  let turn = 0;
  const signIn = async () => {
    const email = emails[turn++ % PEOPLE] ?? '';
    const { outcome } = await auth.login({ email, password: PASSWORD, deviceLabel: 'bench' });
    if (outcome.case !== 'tokens') throw new Error('the sign-in returned no tokens');
    return outcome.value;
  };
  return {
    emails,
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
