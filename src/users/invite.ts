import { v7 as uuidv7 } from 'uuid';
import { Account } from '../accounts/account.entity.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { flushAddress, freeAddress } from '../accounts/take-address.ts';
import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';

const INVITATION_TTL_MS = 24 * 3600_000;

export type Invitation = {
  email: string;
  displayName: string;
  roles: readonly string[];
  /** Who invites: undefined for the operator of the service itself. */
  actor?: string;
};

/**
 * Creates an account without a password, and mails its owner a link to set one, which nobody else ever
 * gets to know (C08). Gives its id. Throws `EMAIL_TAKEN`.
 */
export async function invite(
  em: EntityManager,
  deps: NoticeDeps,
  caller: Caller,
  { email, displayName, roles, actor }: Invitation,
): Promise<string> {
  await freeAddress(em, email);
  const now = deps.clock.now();
  const values = {
    id: uuidv7(),
    email,
    canonicalEmail: canonicalEmail(email),
    displayName,
    state: 'active' as const,
    emailVerifiedAt: null,
    roles: [...roles],
    createdAt: now,
    updatedAt: now,
    lastLoginAt: null,
    invitedAt: now,
  };
  const account = em.create(Account, values, { partial: true });
  em.persist(account);
  await flushAddress(em);
  recordAudit(em, deps, caller, {
    type: 'account.invited',
    actor,
    subject: account.id,
    details: { roles },
  });
  await mailInvitation(em, deps, account);
  return account.id;
}

/** Mails the owner of an account that the transaction holds a link to set the first password. */
export async function mailInvitation(
  em: EntityManager,
  deps: NoticeDeps,
  { id, email: to, displayName }: Account,
): Promise<void> {
  const purpose = 'reset_password';
  const { token } = await issueOneTimeToken(em, deps, id, purpose, undefined, INVITATION_TTL_MS);
  await deps.outbox.send(em, { template: 'invitation', to, displayName, token });
}
