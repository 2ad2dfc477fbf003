import { defineEntity, p } from '@mikro-orm/core';

const UsedChallengeSchema = defineEntity({
  name: 'UsedChallenge',
  tableName: 'used_passkey_challenges',
  properties: {
    /** SHA-256 of the challenge. */
    challengeHash: p.uint8array().primary(),
    /** From then on the challenge is refused without a look at this table. */
    expiresAt: p.datetime().columnType('timestamptz').index('used_passkey_challenges_expires_at'),
  },
});

/** A challenge that has been answered. Open ones are not stored: see `challenge.ts`. */
export class UsedChallenge extends UsedChallengeSchema.class {}
UsedChallengeSchema.setClass(UsedChallenge);
