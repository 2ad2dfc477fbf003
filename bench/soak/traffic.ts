import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { bearer, type Door, fromAnywhere } from './doors.ts';
import type { Ledger } from './ledger.ts';
import { type Administrator, type Person, refresh, signIn, signUp } from './people.ts';
import type { RevokedCredentials } from './revoked.ts';

/** A kind of traffic: how often a second, and what it does when it is due. */
type Kind = { name: string; perSecond: number; work: (due: number) => Promise<unknown> };

/** Of one kind; what is due beyond it waits for nobody and is left out. */
const MOST_AT_ONCE = 100;

type Parts = {
  ledger: Ledger;
  people: readonly Person[];
  admin: Administrator;
  revoked: RevokedCredentials;
  /** A key that stays valid. */
  apiKey: string;
};

/** The mixed traffic of a soak. */
export class Traffic {
  /** Addresses whose sign-up was answered. */
  readonly signedUp: string[] = [];
  readonly #parts: Parts;
  /** Sessions that will be ended. */
  readonly #leaving: Tokens[] = [];
  #turn = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Keeps going until the signal fires, and returns when the last call has been answered. */
  async run(rate: number, signal: AbortSignal): Promise<void> {
    const { ledger, apiKey: secret, people } = this.#parts;
    const paced = (name: string, perSecond: number, work: (door: Door) => Promise<unknown>) => ({
      name,
      perSecond,
      work: (due: number) => ledger.make(name, work, due),
    });
    const token = () => this.#person().tokens.accessToken;
    const kinds: Kind[] = [
      paced('IntrospectToken, gRPC', 25, (door) => checkToken(door, token())),
      paced('IntrospectToken, JSON', 12, (door) => checkToken(door.json, token())),
      paced('VerifyApiKey, gRPC', 12, (door) => checkKey(door, secret)),
      paced('VerifyApiKey, JSON', 6, (door) => checkKey(door.json, secret)),
      paced('/verify', 10, (door) => door.verify(token())),
      paced('ListSessions', 3, ({ sessions }) =>
        sessions.listSessions({}, { headers: bearer(token()) }),
      ),
      paced('GetMe, JSON', 2, ({ json }) => json.accounts.getMe({}, { headers: bearer(token()) })),
      paced('ExchangeApiKey', 2, ({ keys }) =>
        keys.exchangeApiKey(
          { secret, audience: 'https://orders.test' },
          { headers: fromAnywhere() },
        ),
      ),
      { name: 'RefreshToken', perSecond: 6, work: () => refresh(ledger, this.#person()) },
      { name: 'SignUp', perSecond: 0.4, work: () => this.#signUp() },
      { name: 'Login', perSecond: 0.4, work: (due) => this.#signIn(due, this.#anyone()) },
      { name: 'Login, wrong', perSecond: 0.4, work: (due) => this.#signInAtLast(due) },
      { name: 'Logout', perSecond: 0.8, work: (due) => this.#signOut(due) },
      { name: 'ListUsers', perSecond: 0.5, work: (due) => this.#listUsers(due) },
      { name: 'UpdateUser', perSecond: 0.4, work: (due) => this.#changeUser(due) },
      { name: 'RevokeApiKey', perSecond: 0.3, work: () => this.#makeAndRevokeKey() },
    ];
    if (people.length === 0) throw new Error('a soak needs people');
    await Promise.all(kinds.map((kind) => keep(kind, rate, signal)));
  }

  #person(): Person {
    const { people } = this.#parts;
    this.#turn += 1;
    return people[this.#turn % people.length] as Person;
  }

  async #signUp(): Promise<void> {
    const email = `new-${randomUUID()}@example.com`;
    const answered = await this.#parts.ledger.make('SignUp', async (door) => {
      await signUp(door, email);
      return true;
    });
    if (answered) this.signedUp.push(email);
  }

  #anyone(): string {
    const { people } = this.#parts;
    return people[Math.floor(Math.random() * people.length)]?.email ?? '';
  }

  async #signIn(due: number, email: string): Promise<void> {
    const signingIn = (door: Door) => signIn(door, email);
    const tokens = await this.#parts.ledger.make('Login', signingIn, due);
    if (tokens) this.#leaving.push(tokens);
  }

  /** The right password follows the wrong one: several wrong ones in a row lock the account. */
  async #signInAtLast(due: number): Promise<void> {
    const email = this.#anyone();
    await this.#parts.ledger.make('Login, wrong', (door) => signInWrongly(door, email), due);
    await this.#signIn(performance.now(), email);
  }

  async #signOut(due: number): Promise<void> {
    const { ledger, revoked } = this.#parts;
    const tokens = this.#leaving.shift();
    if (!tokens) return;
    const { accessToken, refreshToken, sessionId } = tokens;
    const answer = await ledger.make('Logout', ({ auth }) => auth.logout({ refreshToken }), due);
    if (answer) revoked.add('token', accessToken, sessionId);
  }

  async #listUsers(due: number): Promise<void> {
    const headers = bearer(await this.#parts.admin.token());
    const list = ({ admin }: Door) => admin.listUsers({ pageSize: 20 }, { headers });
    await this.#parts.ledger.make('ListUsers', list, due);
  }

  async #changeUser(due: number): Promise<void> {
    const headers = bearer(await this.#parts.admin.token());
    const { users } =
      (await this.#parts.ledger.make('ListUsers', ({ admin }) =>
        admin.listUsers({ pageSize: 5 }, { headers }),
      )) ?? {};
    const userId = users?.at(-1)?.userId;
    if (userId === undefined) return;
    const user = { userId, displayName: `Pat ${this.#turn}` };
    const change = ({ admin }: Door) =>
      admin.updateUser({ user, updateMask: { paths: ['display_name'] } }, { headers });
    await this.#parts.ledger.make('UpdateUser', change, due);
  }

  async #makeAndRevokeKey(): Promise<void> {
    const { ledger, admin, revoked } = this.#parts;
    const headers = bearer(await admin.token());
    const made = await ledger.make('CreateApiKey', ({ keys }) =>
      keys.createApiKey({ displayName: 'soak', scopes: ['users.read'] }, { headers }),
    );
    const apiKeyId = made?.apiKey?.apiKeyId;
    if (!made || apiKeyId === undefined) return;
    await ledger.make('VerifyApiKey, new', (door) => checkKey(door, made.secret));
    const answer = await ledger.insist('RevokeApiKey', ({ keys }) =>
      keys.revokeApiKey({ apiKeyId }, { headers }),
    );
    if ('answer' in answer) revoked.add('key', made.secret, apiKeyId);
  }
}

async function signInWrongly({ auth }: Door, email: string): Promise<void> {
  const request = { email, password: `not it, ${randomUUID()}` };
  const isRefused = await auth.login(request, { headers: fromAnywhere() }).then(
    () => false,
    (thrown) => {
      if (thrown instanceof ConnectError && thrown.code === Code.Unauthenticated) return true;
      throw thrown;
    },
  );
  if (!isRefused) throw new Error('a wrong password was taken');
}

async function checkToken({ sessions }: Pick<Door, 'sessions'>, token: string): Promise<void> {
  const { active, reason } = await sessions.introspectToken({ token });
  if (!active) throw new Error(`a valid token is not active: ${reason}`);
}

async function checkKey({ keys }: Pick<Door, 'keys'>, secret: string): Promise<void> {
  const { valid, reason } = await keys.verifyApiKey({ secret });
  if (!valid) throw new Error(`a valid key is refused: ${reason}`);
}

/** Does what is due at a steady pace, whether or not earlier calls are answered. */
async function keep({ perSecond, work }: Kind, rate: number, signal: AbortSignal): Promise<void> {
  const everyMs = 1000 / (perSecond * rate);
  const pending = new Set<Promise<unknown>>();
  // Kinds of the same pace don't call at the same moments.
  let due = performance.now() + Math.random() * everyMs;
  while (!signal.aborted) {
    const wait = due - performance.now();
    if (wait > 0) {
      await sleep(wait, undefined, { signal }).catch(() => {});
      continue;
    }
    if (pending.size < MOST_AT_ONCE) {
      const made = work(due).finally(() => pending.delete(made));
      pending.add(made);
    }
    due += everyMs;
  }
  await Promise.all(pending);
}
