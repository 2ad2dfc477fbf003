import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { RecoveryCode } from './recovery-code.entity.ts';

type NewCode = { id: string; account: string; codeHash: Uint8Array; keyVersion: number };

export class RecoveryCodeRepository extends Repository<RecoveryCode> {
  /** The codes of an account that have not been used. */
  listUnused(account: string): Promise<RecoveryCode[]> {
    return this.find({ account, usedAt: null });
  }

  countUnused(account: string): Promise<number> {
    return this.count({ account, usedAt: null });
  }

  /** Deletes an account's codes and stores others. */
  async replace(account: string, codes: NewCode[]): Promise<void> {
    await this.nativeDelete({ account });
    await this.insertMany(codes);
  }

  /** Uses a code up. Of several calls for one code, exactly one returns true. */
  async use(id: string, now: Date): Promise<boolean> {
    return (await this.nativeUpdate({ id, usedAt: null }, { usedAt: now })) === 1;
  }
}

/** The recovery codes that a connection or a transaction sees. */
export function recoveryCodesIn(em: EntityManager): RecoveryCodeRepository {
  return new RecoveryCodeRepository(em, RecoveryCode);
}
