import { randomBytes } from 'node:crypto';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { formatRefreshToken, refreshHash } from '../../src/sessions/refresh-secret.ts';
import { Mint } from '../load/mint.ts';
import type { RowOptions } from '../report/row.ts';
import { madeUpPerson } from '../seed/made-up-people.ts';
import { seedDatabase } from '../seed/seed-database.ts';
import { generationOf, isActive, ownerOf, seededId } from '../seed/seeded-rows.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { createDatabase } from './databases.ts';
import { benchKeyring } from './keyring.ts';
import { CHEAP_HASHING, cheapHash, PASSWORD } from './passwords.ts';
import { startReplica } from './replica.ts';

type Size = { accounts: number; sessions: number };

const KEY_VERSION = 1;
/** A prime, so that turns pick people and sessions far from each other, and none twice. */
const STRIDE = 7919;

/** A service on a seeded database, and calls to it by the seeded people. */
export class SeededService {
  readonly #size: Size;
  readonly #mint: Mint;
  readonly #secret: Buffer;
  readonly #auth: Client<typeof AuthService>;
  readonly #sessions: Client<typeof SessionService>;
  readonly #tokens = new Map<number, Promise<string>>();

  private constructor(size: Size, mint: Mint, secret: Buffer, address: string) {
    const transport = createGrpcTransport({ baseUrl: `http://${address}` });
    this.#size = size;
    this.#mint = mint;
    this.#secret = secret;
    this.#auth = createClient(AuthService, transport);
    this.#sessions = createClient(SessionService, transport);
  }

  /** Seeds a new database on the server, and starts a service on it. */
  static async start(
    cleanups: Cleanups,
    { profileDirectory }: RowOptions,
    server: string,
    size: Size,
  ): Promise<SeededService> {
    const databaseUrl = await createDatabase(cleanups, server, `of_${size.accounts}`);
    const secret = randomBytes(32);
    const refreshToken = { sessionId: '', generation: 0, keyVersion: KEY_VERSION, secret };
    const passwordHash = await cheapHash();
    const hash = refreshHash(benchKeyring(), refreshToken);
    await seedDatabase(databaseUrl, { ...size, passwordHash, refreshHash: hash });
    const service = await startReplica(cleanups, databaseUrl, {
      profileDirectory,
      env: CHEAP_HASHING,
    });
    return new SeededService(size, await Mint.of(service), secret, service.grpcAddress);
  }

  get accounts(): number {
    return this.#size.accounts;
  }

  /** Signs a person in: another one on each turn. */
  async login(turn: number): Promise<void> {
    const { email } = madeUpPerson(numberFor(turn, this.#size.accounts, isActive));
    const { outcome } = await this.#auth.login({ email, password: PASSWORD, deviceLabel: 'new' });
    if (outcome.case !== 'tokens') throw new Error('the sign-in gave no tokens');
  }

  /** Refreshes a session for the first time: another one on each turn. */
  async refreshToken(turn: number): Promise<void> {
    const session = this.#liveSession(turn);
    const refreshToken = formatRefreshToken(benchKeyring(), {
      sessionId: seededId(session),
      generation: generationOf(session),
      keyVersion: KEY_VERSION,
      secret: this.#secret,
    });
    const { tokens } = await this.#auth.refreshToken({ refreshToken });
    if (!tokens) throw new Error('the refresh gave no tokens');
  }

  /** Lists a person's sessions: another person's on each turn. */
  async listSessions(turn: number): Promise<void> {
    const headers = { authorization: `Bearer ${await this.#token(turn)}` };
    const { sessions } = await this.#sessions.listSessions({}, { headers });
    if (sessions.length === 0) throw new Error('a person with sessions has none');
  }

  /** Checks a token: another one on each turn. */
  async introspectToken(turn: number): Promise<void> {
    const { active } = await this.#sessions.introspectToken({ token: await this.#token(turn) });
    if (!active) throw new Error('a valid token is not active');
  }

  #token(turn: number): Promise<string> {
    const session = this.#liveSession(turn);
    const owner = ownerOf(session, this.#size.accounts);
    const token = this.#tokens.get(turn) ?? this.#mint.token(seededId(session), seededId(owner));
    this.#tokens.set(turn, token);
    return token;
  }

  #liveSession(turn: number): number {
    const { accounts, sessions } = this.#size;
    return numberFor(turn, sessions, (session) => isActive(ownerOf(session, accounts)));
  }
}

/** Returns the number from 1 to `count` for a turn, among those that are eligible. */
function numberFor(turn: number, count: number, isEligible: (number: number) => boolean): number {
  for (let place = 0, left = turn; ; place += 1) {
    const number = 1 + ((place * STRIDE) % count);
    if (!isEligible(number)) continue;
    if (left === 0) return number;
    left -= 1;
  }
}
