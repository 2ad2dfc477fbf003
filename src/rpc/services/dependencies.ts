import type { RoleBook } from '../../access/role-book.ts';
import type { ApiKeyMemory } from '../../api-keys/api-key-memory.ts';
import type { KeyLimits } from '../../api-keys/key-limits.ts';
import type { KeyLookups } from '../../api-keys/key-lookups.ts';
import type { ApiKeyVerifier } from '../../api-keys/verify-api-key.ts';
import type { AuditQueue } from '../../audit/audit-queue.ts';
import type { AuditTrail } from '../../audit/audit-trail.ts';
import type { Providers } from '../../federation/providers.ts';
import type { InternalTokens } from '../../mesh/internal-tokens.ts';
import type { Rules } from '../../mesh/rule.ts';
import type { ScopeUse } from '../../mesh/scope-use.ts';
import type { ShadowDenials } from '../../mesh/shadow-denials.ts';
import type { WorkloadTokens } from '../../oauth/workload-tokens.ts';
import type { RelyingParty } from '../../passkeys/relying-party.ts';
import type { NewPasswords } from '../../passwords/new-passwords.ts';
import type { PasswordHasher } from '../../passwords/password-hasher.ts';
import type { PasswordPolicy } from '../../passwords/password-policy.ts';
import type { CacheSizes } from '../../platform/cache-sizes.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Keyring } from '../../platform/crypto.ts';
import type { Log } from '../../platform/log.ts';
import type { Outages } from '../../platform/outages.ts';
import type { RevocationFeed } from '../../revocations/revocation-feed.ts';
import type { TokenIssuer, TokenSettings } from '../../sessions/token-issuer.ts';
import type { AccessTokenVerifier } from '../../sessions/verify-access-token.ts';
import type { KeySet } from '../../signing-keys/key-set.ts';
import type { SigningAlgorithm } from '../../signing-keys/signing-key.entity.ts';
import type { Database } from '../../unit-of-work/database.ts';
import type { Errands } from '../../unit-of-work/errands.ts';
import type { FanOut } from '../../webhooks/fan-out.ts';
import type { WebhookTargets } from '../../webhooks/webhook-targets.ts';
import type { Limits } from '../limits.ts';
import type { SignInCounts } from '../sign-in-counts.ts';

/**
 * Everything that use cases may name among their needs. The composition root builds each once; handlers
 * pass the whole on, and each use case takes the few it names.
 */
export type Dependencies = {
  caches: CacheSizes;
  clock: Clock;
  log: Log;
  keyring: Keyring;
  database: Database;
  errands: Errands;
  /** Audit events that belong to no change. */
  auditQueue: AuditQueue;
  auditTrail: AuditTrail;
  /** Hands the events of the trail to webhooks. */
  fanOut: FanOut;
  webhookTargets: WebhookTargets;
  /** One entry for each verification of the audit chain in progress. */
  verifying: Set<symbol>;
  keys: KeySet;
  revocations: RevocationFeed;
  /** When this replica could not reach the database. */
  outages: Outages;
  roles: RoleBook;
  tokens: TokenSettings;
  tokenIssuer: TokenIssuer;
  signInCounts: SignInCounts;
  verifier: AccessTokenVerifier;
  passwords: PasswordHasher;
  passwordPolicy: PasswordPolicy;
  newPasswords: NewPasswords;
  relyingParty: RelyingParty;
  /** The identity providers that people can sign in with. */
  providers: Providers;
  apiKeyMemory: ApiKeyMemory;
  apiKeyVerifier: ApiKeyVerifier;
  keyLimits: KeyLimits;
  keyLookups: KeyLookups;
  scopeUse: ScopeUse;
  shadowDenials: ShadowDenials;
  limits: Limits;
  /** What the routes of proxies ask of requests. */
  rules: Rules;
  internalTokens: InternalTokens;
  /** Tokens of outside issuers that stand for service accounts. */
  workloadTokens: WorkloadTokens;
  /** Whether everything that a proxy's rule refuses is let through. */
  meshShadow: boolean;
  /** Audiences that a token may be exchanged for. */
  exchangeAudiences: readonly string[];
  trustedProxies: readonly string[];
  /** Whether signing in takes a verified address. */
  requireVerifiedEmail: boolean;
  signingAlg: SigningAlgorithm;
  accessTokenTtlMs: number;
};
