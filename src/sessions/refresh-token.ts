import { LockMode } from '@mikro-orm/core';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Outages } from '../platform/outages.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database, Together } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import {
  parseRefreshToken,
  type RefreshSecret,
  refreshHash,
  successorOf,
} from './refresh-secret.ts';
import type { Session } from './session.entity.ts';
import { sessionsIn } from './session.repository.ts';
import {
  type RefreshedSession,
  type Rotation,
  sessionRefreshesIn,
} from './session-refresh.repository.ts';
import type { IssuedTokens, TokenIssuer } from './token-issuer.ts';

type Needs = {
  database: Database;
  keyring: Keyring;
  tokens: { sessionIdleTtlMs: number };
  tokenIssuer: TokenIssuer;
  outages: Outages;
  limits: { refreshGraceMs: number };
};

/**
 * How old (ms) the token of a session in a browser is before it is exchanged. All pages of the browser
 * present the same one, at about the same time when they are loaded.
 */
const KEPT_MS = 60_000;

/**
 * Exchanges a refresh token for the next pair of tokens, in one statement. To a page whose browser keeps
 * the session's token, a token less than a minute old yields an access token alone, and stays live.
 *
 * A token has one successor (S05). Presented again within the grace time it yields the same successor,
 * as long as that has not been used (S06). The time is the database's, and begins again after an outage
 * (S14). Presented later it ends the session, which is audited and mailed (S07). The roles are read
 * again, so that nothing that was taken away survives (S08).
 */
export async function refreshToken(
  needs: Needs,
  caller: Caller,
  presented: string,
): Promise<IssuedTokens> {
  const { database, keyring, tokens, tokenIssuer } = needs;
  const token = parseRefreshToken(keyring, presented);
  if (!token) throw refused('TOKEN_INVALID', 'the refresh token is not valid');
  const successor = successorOf(keyring, token);
  const rotation = {
    ...token,
    hash: refreshHash(keyring, token),
    successor: { hash: refreshHash(keyring, successor), keyVersion: successor.keyVersion },
    idleTtlMs: tokens.sessionIdleTtlMs,
  };
  if (caller.inBrowser) {
    const recent = await database.together(caller, findRecent, rotation);
    if (recent) return tokenIssuer.issueTokens(recent);
  }
  const session =
    (await database.together(caller, rotateAll, rotation)) ??
    // Not live, or locked by a change, which is worth waiting for.
    (await database.read(caller, (em, now) => sessionRefreshesIn(em).rotate(rotation, now)));
  if (session) return tokenIssuer.issueTokens(session, successor);
  const repeated = await database.transaction(caller, (tx) => judge(tx, needs, token));
  return tokenIssuer.issueTokens(repeated.session, repeated.successor);
}

/** All that are presented at about the same time are exchanged in one statement. */
const rotateAll: Together<Rotation, RefreshedSession | undefined> = (em, now, rotations) =>
  sessionRefreshesIn(em).rotateAll(rotations, now);

const findRecent: Together<Rotation, RefreshedSession | undefined> = (em, now, tokens) =>
  sessionRefreshesIn(em).findRecent(tokens, now, KEPT_MS);

/**
 * Finds out why a token was not the live one. Returns the session and the live token if the client asks
 * again within the grace time, and throws the refusal of any other token.
 */
async function judge(
  tx: Transaction,
  { keyring, tokens, outages, limits }: Needs,
  token: RefreshSecret,
): Promise<{ session: RefreshedSession; successor: RefreshSecret }> {
  const { em, now } = tx;
  const { account, session } = await lockWithAccount(em, token.sessionId);
  if (!session || token.generation > session.refreshGeneration) {
    throw refused('TOKEN_INVALID', 'the refresh token is not valid');
  }
  if (session.endedAt) throw refused('TOKEN_REVOKED', 'the session has been ended');
  if (!session.isLive(now, tokens.sessionIdleTtlMs)) {
    throw refused('TOKEN_EXPIRED', 'the session is over; sign in again');
  }
  const last = await sessionRefreshesIn(em).findRefreshed(session.id);
  if (!last || token.generation === session.refreshGeneration) {
    throw refused('TOKEN_REVOKED', 'the account may not sign in');
  }
  const successor = successorOf(keyring, token, session.refreshKeyVersion);
  const isUnused =
    successor.generation === session.refreshGeneration &&
    equalInConstantTime(refreshHash(keyring, successor), session.refreshHash);
  const { rotatedMs, nowMs } = last;
  const graceEnd = outages.endOf(rotatedMs, limits.refreshGraceMs, nowMs);
  if (isUnused && nowMs <= graceEnd) return { session: last.session, successor };
  await raiseAlarm(tx, keyring, session, account);
  throw tx.refusal(
    refused(
      'REFRESH_TOKEN_REUSED',
      'the refresh token had been used before; the session has been ended',
    ),
  );
}

/** Locks a session and its account: the account first, as every change of its sessions does. */
async function lockWithAccount(em: EntityManager, id: string) {
  const session = await sessionsIn(em).findOne({ id });
  if (!session) return { account: null, session: null };
  const account = await accountsIn(em).lockLive({ id: session.account as string });
  await em.refresh(session, { lockMode: LockMode.PESSIMISTIC_WRITE });
  return { account, session };
}

/** Ends the session for everyone who holds a token of it, since one of them holds a copy. */
async function raiseAlarm(
  tx: Transaction,
  keyring: Keyring,
  { id, account, deviceLabel }: Session,
  owner: Account | null,
): Promise<void> {
  const cause = 'refresh_token_reused';
  await sessionsIn(tx.em).end(id, cause, tx.now);
  await tx.revoke([{ kind: 'session', id }], cause);
  tx.audit({
    type: 'session.refresh_token_reused',
    actor: null,
    subject: account as string,
    outcome: 'failure',
    reason: 'REFRESH_TOKEN_REUSED',
    details: { session_id: id },
  });
  if (owner) await sendNotice(tx, keyring, owner, { template: cause, deviceLabel });
}

function refused(
  reason: 'TOKEN_INVALID' | 'TOKEN_EXPIRED' | 'TOKEN_REVOKED' | 'REFRESH_TOKEN_REUSED',
  message: string,
): Failure {
  return new Failure('unauthenticated', reason, message);
}
