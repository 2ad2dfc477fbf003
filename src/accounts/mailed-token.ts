import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { addMs, type Clock } from '../platform/clock.ts';
import { equalInConstantTime, type Keyring, packUuid, unpackUuid } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { Account } from './account.entity.ts';
import { MailedToken, type MailedTokenPurpose } from './mailed-token.entity.ts';

const PREFIX = 'csm_';
const FORMAT = /^csm_([\w-]{22})\.([\w-]{43})$/;
const SECRET_BYTES = 32;
const TTL_MS: Record<MailedTokenPurpose, number> = { verify_email: 10 * 60_000 };

export type MailedTokenDeps = { keyring: Keyring; clock: Clock };

/**
 * Makes the account's token for a purpose and voids the one before, in a transaction that has locked
 * the account. The token is returned once, to be mailed; the database keeps a keyed hash of it.
 */
export async function issueMailedToken(
  em: EntityManager,
  { keyring, clock }: MailedTokenDeps,
  account: string,
  purpose: MailedTokenPurpose,
): Promise<string> {
  const now = clock.now();
  const id = uuidv7();
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const tokens = em.getRepository(MailedToken);
  await tokens.voidLive(account, purpose, now);
  tokens.create({
    id,
    account,
    purpose,
    secretHash: hash(keyring, purpose, id, secret, keyring.current),
    keyVersion: keyring.current,
    createdAt: now,
    expiresAt: addMs(now, TTL_MS[purpose]),
  });
  await em.flush();
  return `${PREFIX}${packUuid(id)}.${secret}`;
}

/**
 * Uses a mailed token up and gives its account, locked. Of several calls with one token, exactly one
 * succeeds.
 *
 * Throws `TOKEN_INVALID` for a token that is unknown, of another purpose, used or void, and
 * `TOKEN_EXPIRED` for one that would have worked earlier.
 */
export async function consumeMailedToken(
  em: EntityManager,
  { keyring, clock }: MailedTokenDeps,
  presented: string,
  purpose: MailedTokenPurpose,
): Promise<Account> {
  const [, packed = '', secret = ''] = FORMAT.exec(presented) ?? [];
  const id = unpackUuid(packed);
  const token = id && (await em.getRepository(MailedToken).findOne({ id, purpose }));
  if (!token || !keyring.has(token.keyVersion)) throw invalid();
  const expected = hash(keyring, purpose, token.id, secret, token.keyVersion);
  if (!equalInConstantTime(expected, token.secretHash) || token.usedAt) throw invalid();
  const now = clock.now();
  if (token.expiresAt <= now) {
    throw new Failure('precondition', 'TOKEN_EXPIRED', 'the token has expired; ask for a new mail');
  }
  const account = await em.getRepository(Account).lockLive({ id: token.account as string });
  if (!account || !(await em.getRepository(MailedToken).use(token.id, now))) throw invalid();
  return account;
}

function hash(keyring: Keyring, purpose: string, id: string, secret: string, version: number) {
  return keyring.mac(`mailed-token/${purpose}`, `${id}.${secret}`, version);
}

function invalid(): Failure {
  return new Failure('invalid', 'TOKEN_INVALID', 'the token is not valid, or has been used', {
    fields: [{ path: 'token', description: 'is not a valid token' }],
  });
}
