import type { MigrationObject } from '@mikro-orm/core';
import { AccountsAndSessions } from './0001-accounts-and-sessions.ts';
import { SecondFactorsAndPasskeys } from './0002-second-factors-and-passkeys.ts';
import { RolesAndServiceAccounts } from './0003-roles-and-service-accounts.ts';
import { AuditChain } from './0004-audit-chain.ts';
import { RevokedSigningKeys } from './0005-revoked-signing-keys.ts';
import { ApiKeys } from './0006-api-keys.ts';
import { ExternalIds } from './0007-external-ids.ts';
import { RotationTimes } from './0008-rotation-times.ts';
import { TokenVersions } from './0009-token-versions.ts';
import { NoticesAndProofs } from './0010-notices-and-proofs.ts';
import { MailBudgets } from './0011-mail-budgets.ts';
import { NoticeBudgets } from './0012-notice-budgets.ts';
import { SessionsAtOnce } from './0013-sessions-at-once.ts';
import { ScopeUses } from './0014-scope-uses.ts';
import { Webhooks } from './0015-webhooks.ts';
import { Identities } from './0016-identities.ts';
import { UsedWorkloadTokens } from './0018-used-workload-tokens.ts';
import { BrowserSessions } from './0019-browser-sessions.ts';
import { AccountLocales } from './0020-account-locales.ts';
import { SessionProviders } from './0021-session-providers.ts';
import { Locks } from './0022-locks.ts';

/**
 * Every migration, oldest first. Databases record which ones they have had in `schema_migrations`, by
 * `name`: never change one.
 */
export const migrations: MigrationObject[] = [
  { name: 'Migration20261120000000', class: AccountsAndSessions },
  { name: 'Migration20261121000000', class: SecondFactorsAndPasskeys },
  { name: 'Migration20261122000000', class: RolesAndServiceAccounts },
  { name: 'Migration20261122000001', class: AuditChain },
  { name: 'Migration20261122000002', class: RevokedSigningKeys },
  { name: 'Migration20261122000003', class: ApiKeys },
  { name: 'Migration20261122000004', class: ExternalIds },
  { name: 'Migration20261122000005', class: RotationTimes },
  { name: 'Migration20261122000006', class: TokenVersions },
  { name: 'Migration20261122000007', class: NoticesAndProofs },
  { name: 'Migration20261122000008', class: MailBudgets },
  { name: 'Migration20261122000009', class: NoticeBudgets },
  { name: 'Migration20261122000010', class: SessionsAtOnce },
  { name: 'Migration20261122000011', class: ScopeUses },
  { name: 'Migration20261122000012', class: Webhooks },
  { name: 'Migration20261122000013', class: Identities },
  { name: 'Migration20261122000015', class: UsedWorkloadTokens },
  { name: 'Migration20261122000016', class: BrowserSessions },
  { name: 'Migration20261122000017', class: AccountLocales },
  { name: 'Migration20261122000018', class: SessionProviders },
  { name: 'Migration20261122000019', class: Locks },
];
