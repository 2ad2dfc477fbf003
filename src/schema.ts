import { migrations } from '../migrations/index.ts';
import { Permission } from './access/permission.entity.ts';
import { Role } from './access/role.entity.ts';
import { Account } from './accounts/account.entity.ts';
import { ApiKey } from './api-keys/api-key.entity.ts';
import { AuditChain } from './audit/audit-chain.entity.ts';
import { AuditErasure } from './audit/audit-erasure.entity.ts';
import { AuditEvent } from './audit/audit-event.entity.ts';
import type { Config } from './config.ts';
import { Identity } from './federation/identity.entity.ts';
import { UsedFlow } from './federation/used-flow.entity.ts';
import { MailBudget } from './mail/mail-budget.entity.ts';
import { MAIL_QUEUE } from './mail/outbox.ts';
import { ScopeUseRow } from './mesh/scope-use.entity.ts';
import { ShadowDenial } from './mesh/shadow-denial.entity.ts';
import { UsedWorkloadToken } from './oauth/used-workload-token.entity.ts';
import { OneTimeToken } from './one-time-tokens/one-time-token.entity.ts';
import { Passkey } from './passkeys/passkey.entity.ts';
import { UsedChallenge } from './passkeys/used-challenge.entity.ts';
import { PasswordCredential } from './passwords/password-credential.entity.ts';
import { PasswordHistory } from './passwords/password-history.entity.ts';
import { SignInLock } from './passwords/sign-in-lock.entity.ts';
import { Jobs } from './platform/jobs.ts';
import type { Log } from './platform/log.ts';
import { NamedLock } from './platform/named-lock.entity.ts';
import { SqlDatabase } from './platform/sql-database.ts';
import type { Tracer } from './platform/tracer.ts';
import { Revocation } from './revocations/revocation.entity.ts';
import { RecoveryCode } from './second-factors/recovery-code.entity.ts';
import { TotpCredential } from './second-factors/totp-credential.entity.ts';
import { ServiceAccount } from './service-accounts/service-account.entity.ts';
import { Session } from './sessions/session.entity.ts';
import { RevokedSigningKey } from './signing-keys/revoked-signing-key.entity.ts';
import { SigningKey } from './signing-keys/signing-key.entity.ts';
import { ERRAND_QUEUE } from './unit-of-work/errands.ts';
import { Webhook } from './webhooks/webhook.entity.ts';
import { WebhookDelivery } from './webhooks/webhook-delivery.entity.ts';
import { WebhookFanOut } from './webhooks/webhook-fan-out.entity.ts';
import { WebhookMessage } from './webhooks/webhook-message.entity.ts';
import { WebhookReplay } from './webhooks/webhook-replay.entity.ts';

/** Everything that the database holds for us, apart from the queue's own tables. */
const entities = [
  Account,
  ApiKey,
  AuditChain,
  AuditErasure,
  AuditEvent,
  Identity,
  MailBudget,
  NamedLock,
  OneTimeToken,
  Passkey,
  PasswordCredential,
  PasswordHistory,
  Permission,
  RecoveryCode,
  Revocation,
  Role,
  ScopeUseRow,
  ServiceAccount,
  RevokedSigningKey,
  Session,
  SigningKey,
  ShadowDenial,
  SignInLock,
  TotpCredential,
  UsedChallenge,
  UsedFlow,
  UsedWorkloadToken,
  Webhook,
  WebhookDelivery,
  WebhookFanOut,
  WebhookMessage,
  WebhookReplay,
];

/** The database of a configuration. `forMigration` takes the limits off its statements. */
export function openDatabase(
  config: Config,
  log: Log,
  { forMigration = false, tracer }: { forMigration?: boolean; tracer?: Tracer } = {},
): Promise<SqlDatabase> {
  return SqlDatabase.open({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    minFreeBytes: config.embeddedMinFreeBytes,
    entities,
    migrations,
    ...config.database,
    ...(forMigration ? { statementTimeoutMs: 0, acquireTimeoutMs: 30_000 } : {}),
    log,
    ...(tracer ? { tracer } : {}),
  });
}

/** Brings the database's schema up to date. Returns the names of the migrations it applied. */
export function migrate(database: SqlDatabase): Promise<string[]> {
  return database.migrate(() => Jobs.migrate(database, [MAIL_QUEUE, ERRAND_QUEUE]));
}
