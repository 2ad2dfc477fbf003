import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { addMs } from '../platform/clock.ts';
import { equalInConstantTime, type Keyring, packUuid, unpackUuid } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { TokenDetails, TokenPurpose } from './one-time-token.entity.ts';
import { oneTimeTokensIn } from './one-time-token.repository.ts';

const FORMAT = /^cs[cm]_([\w-]{22})\.([\w-]{43})$/;
const SECRET_BYTES = 32;
const MINUTE_MS = 60_000;
/** A link that was mailed less than this before another one was asked for still works (C16). */
const JUST_MAILED_MS = 5 * MINUTE_MS;

type Kind = {
  ttlMs: number;
  /** Secret scanners and people recognise it by this. */
  prefix: 'csm_' | 'csc_';
  /** Which of the account's earlier ones a new one makes void: anyone can ask for a link. */
  voids: 'all' | 'older' | 'none';
};

const KINDS: Record<TokenPurpose, Kind> = {
  verify_email: { ttlMs: 10 * MINUTE_MS, prefix: 'csm_', voids: 'older' },
  reset_password: { ttlMs: 30 * MINUTE_MS, prefix: 'csm_', voids: 'older' },
  change_email: { ttlMs: 10 * MINUTE_MS, prefix: 'csm_', voids: 'all' },
  secure_account: { ttlMs: 7 * 24 * 60 * MINUTE_MS, prefix: 'csm_', voids: 'none' },
  mfa_challenge: { ttlMs: 10 * MINUTE_MS, prefix: 'csc_', voids: 'all' },
};

type IssueOptions = {
  details?: TokenDetails;
  ttlMs?: number;
  /** The account has been created in this transaction. */
  isFirst?: boolean;
};

/**
 * Creates a token for a purpose and voids the account's earlier ones (but not those of notices, nor a link
 * that was just mailed or that works for longer, as an invitation does), in a transaction that has locked
 * the account. The token is returned only here; the database keeps a keyed hash.
 */
export async function issueOneTimeToken(
  { em, clock }: Pick<Transaction, 'em' | 'clock'>,
  keyring: Keyring,
  account: string,
  purpose: TokenPurpose,
  { details, ttlMs = KINDS[purpose].ttlMs, isFirst = false }: IssueOptions = {},
): Promise<{ token: string; expiresAt: Date }> {
  // Under the account's lock, so that a later token has a later time.
  const now = clock.now();
  const id = uuidv7();
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const tokens = oneTimeTokensIn(em);
  const { prefix, voids } = KINDS[purpose];
  const expiresAt = addMs(now, ttlMs);
  const older = { before: addMs(now, -JUST_MAILED_MS), until: expiresAt };
  if (voids !== 'none' && !isFirst)
    await tokens.voidLive(account, purpose, now, voids === 'older' ? older : {});
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
 * Reads a token without using it up, for work that comes before the transaction that uses it.
 *
 * Throws `TOKEN_INVALID` for a token that is unknown, of another purpose, used or void, and
 * `TOKEN_EXPIRED` for one that would have worked earlier.
 */
export async function readOneTimeToken(
  { em, now }: { em: EntityManager; now: Date },
  keyring: Keyring,
  presented: string,
  purpose: TokenPurpose,
): Promise<{ id: string; accountId: string; details: TokenDetails }> {
  const [, packed = '', secret = ''] = FORMAT.exec(presented) ?? [];
  const id = unpackUuid(packed);
  const token = id && (await oneTimeTokensIn(em).findOne({ id, purpose }));
  if (!token || !keyring.has(token.keyVersion)) throw invalidToken(purpose);
  const expected = hash(keyring, purpose, token.id, secret, token.keyVersion);
  if (!equalInConstantTime(expected, token.secretHash) || token.usedAt) throw invalidToken(purpose);
  if (token.expiresAt <= now) throw expired(purpose);
  return { id: token.id, accountId: token.account as string, details: token.details ?? {} };
}

/**
 * Uses a token up and returns its account, locked. Of several calls with one token, exactly one
 * succeeds. Throws what `readOneTimeToken` throws.
 */
export async function consumeOneTimeToken(
  tx: Transaction,
  keyring: Keyring,
  presented: string,
  purpose: TokenPurpose,
): Promise<{ id: string; account: Account; details: TokenDetails }> {
  const token = await readOneTimeToken(tx, keyring, presented, purpose);
  const account = await accountsIn(tx.em).lockLive({ id: token.accountId });
  const used = account && (await oneTimeTokensIn(tx.em).use(token.id, tx.now));
  if (!account || !used) throw invalidToken(purpose);
  return { id: token.id, account, details: token.details };
}

function hash(keyring: Keyring, purpose: string, id: string, secret: string, version: number) {
  return keyring.mac(`mailed-token/${purpose}`, `${id}.${secret}`, version);
}

/** The field of the request that a token of this purpose comes in. */
function fieldOf(purpose: TokenPurpose): string {
  return purpose === 'mfa_challenge' ? 'challenge_token' : 'token';
}

export function invalidToken(purpose: TokenPurpose): Failure {
  return invalidField(fieldOf(purpose), 'is not valid, or has been used already', 'TOKEN_INVALID');
}

function expired(purpose: TokenPurpose): Failure {
  const then = purpose === 'mfa_challenge' ? 'sign in again' : 'ask for a new mail';
  return new Failure('precondition', 'TOKEN_EXPIRED', `the token has expired; ${then}`);
}
