import { v7 as uuidv7 } from 'uuid';
import type { RoleBook } from '../access/role-book.ts';
import { addMs, type Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { ACCESS_TOKEN_TYPE, CLIENT_ID } from './access-token.ts';
import {
  firstRefreshSecret,
  formatRefreshToken,
  type RefreshSecret,
  refreshHash,
} from './refresh-secret.ts';
import { sessionsIn } from './session.repository.ts';
import type { RefreshedSession } from './session-refresh.repository.ts';
import { signJws } from './sign-jws.ts';

const MAX_USER_AGENT_LENGTH = 500;

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
  account: { id: string; roles: readonly string[]; tokenVersion: number; isVerified: boolean };
  /** RFC 8176. */
  amr: string[];
  deviceLabel: string;
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
  async openSession(tx: Transaction, { account, amr, deviceLabel }: SignIn): Promise<IssuedTokens> {
    const { now, caller } = tx;
    const sessionId = uuidv7();
    const refresh = firstRefreshSecret(this.#keyring, sessionId);
    const expiresAt = addMs(now, this.#settings.sessionTtlMs);
    const opened = {
      id: sessionId,
      accountId: account.id,
      deviceLabel,
      userAgent: caller.userAgent.slice(0, MAX_USER_AGENT_LENGTH),
      ipAddress: caller.ipAddress,
      amr,
      now,
      expiresAt,
      refresh: { ...refresh, hash: refreshHash(this.#keyring, refresh) },
    };
    const event = tx.auditEvent({
      type: 'session.created',
      actor: account.id,
      subject: account.id,
      details: { session_id: sessionId, amr },
    });
    await sessionsIn(tx.em).open(opened, event);
    const session = {
      sessionId,
      accountId: account.id,
      amr,
      authTime: now,
      refreshedAt: now,
      expiresAt,
      roles: [...account.roles],
      tokenVersion: account.tokenVersion,
      emailVerified: account.isVerified,
    };
    return this.issueTokens(session, refresh);
  }

  /** Issues the pair of tokens for a session's live generation. */
  async issueTokens(session: RefreshedSession, refresh: RefreshSecret): Promise<IssuedTokens> {
    const idleEnd = session.refreshedAt.getTime() + this.#settings.sessionIdleTtlMs;
    return {
      ...(await this.issueAccessToken(session)),
      refreshToken: formatRefreshToken(this.#keyring, refresh),
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
      acr: grant.amr.includes('mfa') ? 'aal2' : 'aal1',
      auth_time: Math.floor(grant.authTime.getTime() / 1000),
      email_verified: grant.emailVerified,
    };
    return { accessToken: await signJws(header, claims, key), expiresAt: new Date(exp * 1000) };
  }
}
