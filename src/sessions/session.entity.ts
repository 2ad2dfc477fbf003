import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const SessionSchema = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: p.uuid().primary(),
    account: () => accountColumn().index('sessions_account'),
    deviceLabel: p.text(),
    userAgent: p.text(),
    ipAddress: p.text(),
    /** How the owner proved who they are: RFC 8176. */
    amr: p.array().columnType('text[]'),
    /** The configured name of the identity provider that they proved it to, if it was one. */
    idp: p.text().nullable(),
    authTime: p.datetime().columnType('timestamptz'),
    createdAt: p.datetime().columnType('timestamptz'),
    /** When it ends, however often it is refreshed. */
    expiresAt: p.datetime().columnType('timestamptz').index('sessions_expires_at'),
    endedAt: p.datetime().columnType('timestamptz').nullable(),
    endCause: p.text().nullable(),
    /** The number of the live generation: how often the refresh token has been exchanged. */
    refreshGeneration: p.integer(),
    /** The keyed hash of the live refresh token's secret. */
    refreshHash: p.uint8array(),
    refreshKeyVersion: p.smallint(),
    /** When the live refresh token was issued, which is when the session was last used. */
    refreshedAt: p.datetime().columnType('timestamptz'),
    /** The same by the database's clock, set by a trigger. Null before the first exchange. */
    rotatedAt: p.datetime().columnType('timestamptz').nullable(),
    /** Whether a browser keeps its refresh token in a cookie, for all pages of an origin. */
    inBrowser: p.boolean().default(false),
  },
});

/**
 * A lasting sign-in. The session is its own refresh-token lineage: it holds the one live generation, so
 * that there can't be two (docs/decisions/0004-refresh-tokens.md).
 */
export class Session extends SessionSchema.class {
  /** Whether it can still be refreshed. */
  isLive(now: Date, idleTtlMs: number): boolean {
    const idleEnd = this.refreshedAt.getTime() + idleTtlMs;
    return !this.endedAt && this.expiresAt > now && now.getTime() < idleEnd;
  }
}
SessionSchema.setClass(Session);
