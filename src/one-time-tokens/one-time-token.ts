import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { addMs, type Clock } from '../platform/clock.ts';
import { equalInConstantTime, type Keyring, packUuid, unpackUuid } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { TokenDetails, TokenPurpose } from './one-time-token.entity.ts';
import { oneTimeTokensIn } from './one-time-token.repository.ts';

const FORMAT = /^cs[cm]_([\w-]{22})\.([\w-]{43})$/;
const SECRET_BYTES = 32;
const MINUTE_MS = 60_000;

/** How long each is valid, and what it begins with, so that scanners know it and people see its kind. */
const KINDS: Record<TokenPurpose, { ttlMs: number; prefix: 'csm_' | 'csc_' }> = {
  verify_email: { ttlMs: 10 * MINUTE_MS, prefix: 'csm_' },
  reset_password: { ttlMs: 30 * MINUTE_MS, prefix: 'csm_' },
  change_email: { ttlMs: 10 * MINUTE_MS, prefix: 'csm_' },
  secure_account: { ttlMs: 7 * 24 * 60 * MINUTE_MS, prefix: 'csm_' },
  mfa_challenge: { ttlMs: 10 * MINUTE_MS, prefix: 'csc_' },
};

export type OneTimeTokenDeps = { keyring: Keyring; clock: Clock };

/**
 * Makes a token for a purpose and voids the account's one before (not that of a notice), in a
 * transaction that has locked the account. It is returned once; the database keeps a keyed hash.
 */
export async function issueOneTimeToken(
  em: EntityManager,
  { keyring, clock }: OneTimeTokenDeps,
  account: string,
  purpose: TokenPurpose,
  details?: TokenDetails,
  ttlMs = KINDS[purpose].ttlMs,
): Promise<{ token: string; expiresAt: Date }> {
  const now = clock.now();
  const id = uuidv7();
  const { prefix } = KINDS[purpose];
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const tokens = oneTimeTokensIn(em);
  if (purpose !== 'secure_account') await tokens.voidLive(account, purpose, now);
  const expiresAt = addMs(now, ttlMs);
  tokens.create({
    id,
    account,
    purpose,
    secretHash: hash(keyring, purpose, id, secret, keyring.current),
    keyVersion: keyring.current,
    details: details ?? null,
    createdAt: now,
    expiresAt,
  });
  await em.flush();
  return { token: `${prefix}${packUuid(id)}.${secret}`, expiresAt };
}

/**
 * Reads a token without using it up, for what has to be done before the transaction that does.
 *
 * Throws `TOKEN_INVALID` for a token that is unknown, of another purpose, used or void, and
 * `TOKEN_EXPIRED` for one that would have worked earlier.
 */
export async function readOneTimeToken(
  em: EntityManager,
  { keyring, clock }: OneTimeTokenDeps,
  presented: string,
  purpose: TokenPurpose,
): Promise<{ id: string; accountId: string; details: TokenDetails; createdAt: Date }> {
  const [, packed = '', secret = ''] = FORMAT.exec(presented) ?? [];
  const id = unpackUuid(packed);
  const token = id && (await oneTimeTokensIn(em).findOne({ id, purpose }));
  if (!token || !keyring.has(token.keyVersion)) throw invalidToken(purpose);
  const expected = hash(keyring, purpose, token.id, secret, token.keyVersion);
  if (!equalInConstantTime(expected, token.secretHash) || token.usedAt) throw invalidToken(purpose);
  if (token.expiresAt <= clock.now()) throw expired(purpose);
  const { details, createdAt } = token;
  return { id: token.id, accountId: token.account as string, details: details ?? {}, createdAt };
}

/**
 * Uses a token up and gives its account, locked. Of several calls with one token, exactly one
 * succeeds. Throws what `readOneTimeToken` throws.
 */
export async function consumeOneTimeToken(
  em: EntityManager,
  deps: OneTimeTokenDeps,
  presented: string,
  purpose: TokenPurpose,
): Promise<{ account: Account; details: TokenDetails; createdAt: Date }> {
  const token = await readOneTimeToken(em, deps, presented, purpose);
  const account = await accountsIn(em).lockLive({ id: token.accountId });
  const used = account && (await oneTimeTokensIn(em).use(token.id, deps.clock.now()));
  if (!account || !used) throw invalidToken(purpose);
  return { account, details: token.details, createdAt: token.createdAt };
}

function hash(keyring: Keyring, purpose: string, id: string, secret: string, version: number) {
  return keyring.mac(`mailed-token/${purpose}`, `${id}.${secret}`, version);
}

/** The field of the request that a token of this purpose comes in. */
function fieldOf(purpose: TokenPurpose): string {
  return purpose === 'mfa_challenge' ? 'challenge_token' : 'token';
}

export function invalidToken(purpose: TokenPurpose): Failure {
  return new Failure('invalid', 'TOKEN_INVALID', 'the token is not valid, or has been used', {
    fields: [{ path: fieldOf(purpose), description: 'is not a valid token' }],
  });
}

function expired(purpose: TokenPurpose): Failure {
  const then = purpose === 'mfa_challenge' ? 'sign in again' : 'ask for a new mail';
  return new Failure('precondition', 'TOKEN_EXPIRED', `the token has expired; ${then}`);
}
