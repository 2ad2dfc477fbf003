import type { RoleBook } from '../access/role-book.ts';
import { Networks } from '../platform/networks.ts';
import type { Principal } from '../sessions/principal.ts';
import type { KeyRow } from './api-key-check.repository.ts';

/** How many addresses the networks of one key remember; there may be very many keys. */
const REMEMBERED = 8;

type Roles = Pick<RoleBook, 'permissionsOf' | 'version'>;

/** A key as this replica knows it: its row, and what follows from it. */
export class KnownKey {
  readonly row: KeyRow;
  readonly expiresAtMs: number;
  readonly isActive: boolean;
  /** Set when the key or its owner has changed: then the database is asked again. */
  stale = false;
  /** When its last use was noted (ms). */
  notedAtMs = Number.NEGATIVE_INFINITY;
  readonly #networks: Networks | undefined;
  #principal: Principal | undefined;
  #rolesVersion = Number.NaN;

  constructor(row: KeyRow) {
    this.row = row;
    this.expiresAtMs = row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
    this.isActive = row.ownerState === 'active';
    const { allowedCidrs } = row;
    this.#networks = allowedCidrs.length > 0 ? new Networks(allowedCidrs, REMEMBERED) : undefined;
  }

  /**
   * Whether it may be used from an address. An empty one, which is not known, needs a key without
   * networks.
   */
  isAllowedFrom(ipAddress: string): boolean {
    return this.#networks?.includes(ipAddress) ?? true;
  }

  /**
   * The principal that the key speaks for, with those of its scopes that its owner holds now (A01). It
   * stays the same object until any of that changes.
   */
  principal(roles: Roles): Principal {
    if (this.#principal && this.#rolesVersion === roles.version) return this.#principal;
    this.#rolesVersion = roles.version;
    const held = new Set(roles.permissionsOf(this.row.ownerRoles));
    const scopes = this.row.scopes.filter((scope) => held.has(scope));
    if (!this.#principal || String(this.#principal.scopes) !== String(scopes)) {
      this.#principal = principalOf(this.row, scopes);
    }
    return this.#principal;
  }
}

function principalOf(row: KeyRow, scopes: readonly string[]): Principal {
  return Object.freeze({
    type: row.ownerType,
    subject: row.ownerId,
    sessionId: '',
    apiKeyId: row.id,
    tokenId: '',
    clientId: row.id,
    keyId: '',
    emailVerified: row.emailVerified,
    roles: [],
    ownerRoles: row.ownerRoles,
    // Of the tokens that the key is exchanged for.
    tokenVersion: row.ownerTokenVersion,
    scopes,
    permissions: scopes,
    actors: [],
    amr: [],
    idp: '',
    audience: [],
    authTime: 0,
    // Revoking an owner's tokens up to a moment does not revoke the owner's keys.
    issuedAt: Number.POSITIVE_INFINITY,
    expiresAt: Math.floor((row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) / 1000),
  });
}
