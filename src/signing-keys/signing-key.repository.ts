import { Failure } from '../platform/failure.ts';
import { lock } from '../platform/locks.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { SigningKey, type SigningKeyState } from './signing-key.entity.ts';

/** A key that is not among the keys yet. */
export type GeneratedKey = Pick<SigningKey, 'id' | 'algorithm' | 'publicJwk' | 'privateSealed'>;

/** The statements on signing keys. */
export class SigningKeyRepository extends Repository<SigningKey> {
  /** Makes this the only transaction, on any replica, that changes signing keys. */
  async lockForChange(): Promise<void> {
    await lock(this.em, 'signingKeys');
  }

  /** Adds a generated key. */
  add(key: GeneratedKey, state: Exclude<SigningKeyState, 'retired'>, now: Date): SigningKey {
    const activatedAt = state === 'active' ? now : null;
    return this.create({ ...key, state, createdAt: now, activatedAt, retiredAt: null });
  }

  /** Retires the active key, and lets the next one take over. */
  async promote(
    { active, next }: { active: SigningKey; next: SigningKey },
    now: Date,
  ): Promise<void> {
    Object.assign(active, { state: 'retired', retiredAt: now });
    // One at a time: there is never more than one active key.
    await this.em.flush();
    Object.assign(next, { state: 'active', activatedAt: now });
    await this.em.flush();
  }
}

/** The signing keys that a connection or a transaction sees. */
export function signingKeysIn(em: EntityManager): SigningKeyRepository {
  return new SigningKeyRepository(em, SigningKey);
}

export function noSuchSigningKey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such signing key');
}
