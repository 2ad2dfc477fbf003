import { defineEntity, p } from '@mikro-orm/core';
import { USER_ROLE } from '../access/permissions.ts';
import { parkedEmail } from './email.ts';

const AccountSchema = defineEntity({
  name: 'Account',
  tableName: 'accounts',
  properties: {
    id: p.uuid().primary(),
    /** As its owner wrote it. */
    email: p.text(),
    /** The form in which addresses are compared, or what stands in for it: see `email.ts`. */
    canonicalEmail: p.text(),
    displayName: p.text(),
    /** The language of its owner (RFC 5646); null if nobody has said. */
    locale: p.text().nullable(),
    state: p.enum(['active', 'suspended', 'deleted']).$type<AccountState>(),
    emailVerifiedAt: p.datetime().columnType('timestamptz').nullable(),
    /** When its owner proved an earlier address, if they have yet to prove the present one. */
    firstVerifiedAt: p.datetime().columnType('timestamptz').nullable(),
    /** How often someone signed up with its address before it was proved: 0 if no one did. */
    signUps: p.integer().default(0),
    /** Role names, in the order of granting. */
    roles: p.array().columnType('text[]'),
    createdAt: p.datetime().columnType('timestamptz'),
    updatedAt: p.datetime().columnType('timestamptz'),
    lastLoginAt: p.datetime().columnType('timestamptz').nullable(),
    /** When an administrator created it or set its address; null if its owner signed up. */
    invitedAt: p.datetime().columnType('timestamptz').nullable(),
    /** Its id in the system that it was imported from. */
    externalId: p.text().nullable(),
    /** Incremented when something is taken from it: tokens of lower versions are revoked. */
    tokenVersion: p.integer().default(0),
  },
  indexes: [
    {
      name: 'accounts_email_search',
      expression:
        'create index accounts_email_search on accounts using gin (canonical_email gin_trgm_ops)',
    },
    {
      name: 'accounts_name_search',
      expression:
        'create index accounts_name_search on accounts using gin (lower(display_name) gin_trgm_ops)',
    },
    {
      name: 'accounts_roles',
      expression: 'create index accounts_roles on accounts using gin (roles)',
    },
    {
      name: 'accounts_suspended',
      expression: "create index accounts_suspended on accounts (id) where state = 'suspended'",
    },
    { name: 'accounts_created_at', properties: ['createdAt', 'id'] },
    {
      name: 'accounts_last_login_at',
      expression:
        "create index accounts_last_login_at on accounts (coalesce(last_login_at, '-infinity'::timestamptz), id)",
    },
  ],
  uniques: [
    {
      name: 'accounts_live_email',
      expression:
        "create unique index accounts_live_email on accounts (canonical_email) where state <> 'deleted'",
    },
    {
      name: 'accounts_live_external_id',
      expression:
        "create unique index accounts_live_external_id on accounts (external_id) where state <> 'deleted'",
    },
  ],
});

type AccountState = 'active' | 'suspended' | 'deleted';

/** A person who can sign in. An erased account keeps its row, but not its address. */
export class Account extends AccountSchema.class {
  get isVerified(): boolean {
    return this.emailVerifiedAt !== null && this.emailVerifiedAt !== undefined;
  }

  /** Whether its owner has ever proved an address: what it holds is theirs (C15). */
  get isProved(): boolean {
    return this.isVerified || Boolean(this.firstVerifiedAt);
  }

  /**
   * Whether its password comes from its only sign-up, and so belongs to the person who opens the link
   * that was mailed for it. After another sign-up, or if an administrator supplied the password, it may
   * be anyone's.
   */
  get hasOnePassword(): boolean {
    return this.signUps === 1 && !this.invitedAt;
  }

  /** Marks its address as one that its owner has yet to prove. */
  unverify(): void {
    this.firstVerifiedAt ??= this.emailVerifiedAt;
    this.emailVerifiedAt = null;
  }

  /** Whether another account has its address: see `parkAddress`. */
  get isParked(): boolean {
    return this.canonicalEmail === parkedEmail(this.email, this.id);
  }

  /**
   * Whether someone else may still sign up with its address and take its place: no one has proved that
   * the address is theirs, and no one has signed in, which is possible if sign-ins need no proof. False
   * for an account that an administrator created: it waits, with its roles, for the person it is meant
   * for.
   */
  get isUnclaimed(): boolean {
    return !this.isVerified && !this.lastLoginAt && !this.invitedAt && this.state === 'active';
  }

  /**
   * Whether it gives way to another account with its address: it is unclaimed, and nobody has given it a
   * role.
   */
  get isDisposable(): boolean {
    return this.isUnclaimed && this.roles.every((role) => role === USER_ROLE);
  }
}
AccountSchema.setClass(Account);

/** The column of an entity that belongs to an account and is deleted with its row. */
export function accountColumn() {
  return p
    .manyToOne(Account)
    .mapToPk()
    .deleteRule('cascade')
    .updateRule('no action')
    .fieldName('account_id');
}
