import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { runSql } from '../service/databases.ts';
import { PASSWORD } from '../service/passwords.ts';
import { type Door, fromAnywhere } from './doors.ts';
import type { Ledger } from './ledger.ts';
import type { Stage } from './stage.ts';

/** Someone who stays signed in, and refreshes. */
export type Person = {
  email: string;
  tokens: Tokens;
  /** A refresh is under way: a client makes one at a time. */
  isBusy: boolean;
};

const ADMIN = 'admin@example.com';
/** Below what step-up asks of administrators, and below the life of their token. */
const FRESH_MS = 240_000;

export async function signIn({ auth }: Door, email: string): Promise<Tokens> {
  const { outcome } = await auth.login({ email, password: PASSWORD }, { headers: fromAnywhere() });
  if (outcome.case !== 'tokens') throw new Error('the sign-in gave no tokens');
  return outcome.value;
}

export async function signUp({ auth }: Door, email: string): Promise<void> {
  const request = { email, password: PASSWORD, displayName: 'Pat Example' };
  await auth.signUp(request, { headers: fromAnywhere() });
}

/** Signs up and in as many people as shall stay. */
export async function settle(ledger: Ledger, count: number): Promise<Person[]> {
  const people: Person[] = [];
  for (let n = 0; n < count; n += 1) {
    const email = `person-${n}@example.com`;
    people.push({ email, tokens: await arrive(ledger, email), isBusy: false });
  }
  return people;
}

/** Signs someone up and in, on a machine that may have other things to do. */
async function arrive(ledger: Ledger, email: string): Promise<Tokens> {
  await ledger.insist('SignUp', (door) => signUp(door, email));
  const outcome = await ledger.insist('Login', (door) => signIn(door, email));
  if ('answer' in outcome) return outcome.answer;
  throw new Error(`nobody can sign in: ${JSON.stringify(outcome.failure)}`);
}

/** Refreshes until there is an answer. A refusal means that the session is lost; a new one begins. */
export async function refresh(ledger: Ledger, person: Person): Promise<void> {
  if (person.isBusy) return;
  person.isBusy = true;
  const { refreshToken } = person.tokens;
  const outcome = await ledger.insist('RefreshToken', ({ auth }) =>
    auth.refreshToken({ refreshToken }, { headers: fromAnywhere() }),
  );
  if ('answer' in outcome && outcome.answer.tokens) {
    person.tokens = outcome.answer.tokens;
  } else {
    ledger.lose(`session ${person.tokens.sessionId}: ${why(outcome)}`);
    const again = await ledger.insist('Login', (door) => signIn(door, person.email));
    if ('answer' in again) person.tokens = again.answer;
  }
  person.isBusy = false;
}

function why(outcome: object): string {
  return 'failure' in outcome ? JSON.stringify(outcome.failure) : 'no tokens';
}

/** The administrator of a soak, who signs in again when their sign-in is not fresh any more. */
export class Administrator {
  readonly #ledger: Ledger;
  #token = '';
  #signedInAt = Number.NEGATIVE_INFINITY;

  private constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  static async appoint(stage: Stage, ledger: Ledger): Promise<Administrator> {
    await arrive(ledger, ADMIN);
    await runSql(stage.databaseUrl, "update accounts set roles = '{user,admin}' where email = $1", [
      ADMIN,
    ]);
    return new Administrator(ledger);
  }

  async token(): Promise<string> {
    if (performance.now() - this.#signedInAt < FRESH_MS) return this.#token;
    this.#signedInAt = performance.now();
    const outcome = await this.#ledger.insist('Login', (door) => signIn(door, ADMIN));
    if ('answer' in outcome) this.#token = outcome.answer.accessToken;
    return this.#token;
  }
}
