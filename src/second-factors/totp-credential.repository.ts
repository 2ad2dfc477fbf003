import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { TotpCredential } from './totp-credential.entity.ts';

/** What `secretSealed` is sealed for. */
export const TOTP_PURPOSE = 'totp-secret';

export class TotpCredentialRepository extends Repository<TotpCredential> {
  /** The credential that sign-ins ask for, if the account has one. */
  findConfirmed(account: string): Promise<TotpCredential | null> {
    return this.findOne({ account, confirmedAt: { $ne: null } });
  }

  /** Uses up a time step and all before it. Of several calls for one step, exactly one returns true. */
  async useStep(account: string, step: number): Promise<boolean> {
    const used = await this.nativeUpdate({ account, lastStep: { $lt: step } }, { lastStep: step });
    return used === 1;
  }
}

/** The TOTP credentials that a connection or a transaction sees. */
export function totpCredentialsIn(em: EntityManager): TotpCredentialRepository {
  return new TotpCredentialRepository(em, TotpCredential);
}
