import { v7 as uuidv7 } from 'uuid';
import type { RoleBook } from '../access/role-book.ts';
import { auditEvent } from '../audit/audit-entry.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { ACCESS_TOKEN_TYPE, CLIENT_ID } from './access-token.ts';
import { grantOf, newSession, openingOf } from './new-session.ts';
import { formatRefreshToken, type RefreshSecret } from './refresh-secret.ts';
import { type SessionOwner, sessionsIn } from './session.repository.ts';
import type { RefreshedSession } from './session-refresh.repository.ts';
import { signJws } from './sign-jws.ts';
import { acrOf, FEDERATED } from './token-claims.ts';

/** Names in tokens, and how long tokens and sessions last (ms). */
export type TokenSettings = {
  issuer: string;
  audience: string;
  accessTokenTtlMs: number;
  sessionTtlMs: number;
  sessionIdleTtlMs: number;
};

export type AccessToken = { accessToken: string; expiresAt: Date };

export type IssuedTokens = AccessToken & {
  refreshToken: string;
  refreshExpiresAt: Date;
  sessionId: string;
};

/** The facts about a session and its owner that go into an access token. */
export type Grant = Omit<RefreshedSession, 'refreshedAt'>;

export type SignIn = {
  account: SessionOwner & { id: string };
  /** RFC 8176. */
  amr: string[];
  /** The identity provider that the first factor was proved to, if one was. */
  idp?: string | undefined;
  /** When that was, if it was not now. */
  provedAt?: Date;
  deviceLabel: string;
};

/** A sign-in by a password that matched a hash. */
export type PasswordSignIn = {
  accountId: string;
  amr: string[];
  deviceLabel: string;
  checked: { checkedHash: string; needsVerified: boolean };
};

/** Opens sessions and issues their tokens. */
export class TokenIssuer {
  readonly #clock: Clock;
  readonly #keyring: Keyring;
  readonly #keys: Pick<KeySet, 'signingKey'>;
  readonly #roles: Pick<RoleBook, 'requireRecent' | 'permissionsOf'>;
  readonly #settings: TokenSettings;

  constructor(parts: {
    clock: Clock;
    keyring: Keyring;
    keys: Pick<KeySet, 'signingKey'>;
    roles: Pick<RoleBook, 'requireRecent' | 'permissionsOf'>;
    tokens: TokenSettings;
  }) {
    this.#clock = parts.clock;
    this.#keyring = parts.keyring;
    this.#keys = parts.keys;
    this.#roles = parts.roles;
    this.#settings = parts.tokens;
  }

  /** Opens a session with its audit event, and issues its first tokens. */
  async openSession(tx: Transaction, { account, ...signIn }: SignIn): Promise<IssuedTokens> {
    const parts = { keyring: this.#keyring, now: tx.now, ttlMs: this.#settings.sessionTtlMs };
    const opened = newSession(parts, tx.caller, { accountId: account.id, ...signIn });
    await sessionsIn(tx.em).open(opened, tx.auditEvent(openingOf(opened)));
    return this.issueTokens(grantOf(opened, account), opened.refresh);
  }

  /**
   * The same in one statement, if nothing about a sign-in by password has to be decided: see
   * `SessionRepository.openAtOnce`. Otherwise changes nothing and returns undefined.
   */
  async openAtOnce(
    database: Database,
    caller: Caller,
    { checked, ...signIn }: PasswordSignIn,
  ): Promise<IssuedTokens | undefined> {
    // What could keep the tokens from being issued must keep the session from being opened.
    await this.#roles.requireRecent();
    await this.#keys.signingKey();
    return database.read(caller, async (em, now) => {
      const parts = { keyring: this.#keyring, now, ttlMs: this.#settings.sessionTtlMs };
      const opened = newSession(parts, caller, signIn);
      const event = auditEvent(now, caller, openingOf(opened));
      const owner = await sessionsIn(em).openAtOnce(opened, event, checked);
      return owner && this.issueTokens(grantOf(opened, owner), opened.refresh);
    });
  }

  /**
   * Issues the pair of tokens for a session's live generation. Without it, the refresh token is empty:
   * the caller has the live one.
   */
  async issueTokens(session: RefreshedSession, refresh?: RefreshSecret): Promise<IssuedTokens> {
    const idleEnd = session.refreshedAt.getTime() + this.#settings.sessionIdleTtlMs;
    return {
      ...(await this.issueAccessToken(session)),
      refreshToken: refresh ? formatRefreshToken(this.#keyring, refresh) : '',
      refreshExpiresAt: new Date(Math.min(idleEnd, session.expiresAt.getTime())),
      sessionId: session.sessionId,
    };
  }

  /**
   * Signs an access token (RFC 9068). `scope` holds the permissions that the owner's roles give at this
   * moment. The token expires with its session at the latest.
   */
  async issueAccessToken(grant: Grant): Promise<AccessToken> {
    await this.#roles.requireRecent();
    const { issuer, audience, accessTokenTtlMs } = this.#settings;
    const now = this.#clock.now().getTime();
    const exp = Math.floor(Math.min(now + accessTokenTtlMs, grant.expiresAt.getTime()) / 1000);
    const { id, algorithm, key } = await this.#keys.signingKey();
    const header = { typ: ACCESS_TOKEN_TYPE, alg: algorithm, kid: id };
    const claims = {
      iss: issuer,
      sub: grant.accountId,
      aud: audience,
      jti: uuidv7(),
      iat: Math.floor(now / 1000),
      exp,
      client_id: CLIENT_ID,
      scope: this.#roles.permissionsOf(grant.roles).join(' '),
      sid: grant.sessionId,
      roles: grant.roles,
      token_version: grant.tokenVersion,
      amr: grant.amr,
      // Replicas of an older version change the one without the other.
      ...(grant.idp !== null && grant.amr.includes(FEDERATED) && { idp: grant.idp }),
      acr: acrOf(grant.amr),
      auth_time: Math.floor(grant.authTime.getTime() / 1000),
      email_verified: grant.emailVerified,
    };
    return { accessToken: await signJws(header, claims, key), expiresAt: new Date(exp * 1000) };
  }
}
