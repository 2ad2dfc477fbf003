import { RoleBook } from '../access/role-book.ts';
import { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { KeyLimits } from '../api-keys/key-limits.ts';
import { KeyLookups } from '../api-keys/key-lookups.ts';
import { KeyUsage } from '../api-keys/key-usage.ts';
import { ApiKeyVerifier } from '../api-keys/verify-api-key.ts';
import { AuditQueue } from '../audit/audit-queue.ts';
import { AuditTrail } from '../audit/audit-trail.ts';
import { type Config, ConfigError } from '../config.ts';
import type { ProviderSettings } from '../federation/provider-settings.ts';
import { Providers } from '../federation/providers.ts';
import { testProviderAt } from '../federation/test-provider.ts';
import { type MailTransport, smtpTransport } from '../mail/deliver.ts';
import { Mailbox } from '../mail/mailbox.ts';
import { Outbox } from '../mail/outbox.ts';
import { InternalTokens } from '../mesh/internal-tokens.ts';
import { Rules } from '../mesh/rule.ts';
import { ScopeUse } from '../mesh/scope-use.ts';
import { ShadowDenials } from '../mesh/shadow-denials.ts';
import { WorkloadTokens } from '../oauth/workload-tokens.ts';
import { relyingParty } from '../passkeys/relying-party.ts';
import { BreachedPasswords } from '../passwords/breached-passwords.ts';
import { NewPasswords } from '../passwords/new-passwords.ts';
import { PasswordHasher } from '../passwords/password-hasher.ts';
import { PasswordPolicy } from '../passwords/password-policy.ts';
import type { PasswordStrength } from '../passwords/password-strength.ts';
import type { Log } from '../platform/log.ts';
import { Shares } from '../platform/shares.ts';
import { RevocationFeed } from '../revocations/revocation-feed.ts';
import { SignInCounts } from '../rpc/sign-in-counts.ts';
import { TokenIssuer } from '../sessions/token-issuer.ts';
import { AccessTokenVerifier } from '../sessions/verify-access-token.ts';
import { KeySet } from '../signing-keys/key-set.ts';
import type { Languages } from '../texts/languages.ts';
import { readTexts } from '../texts/read-texts.ts';
import { Database } from '../unit-of-work/database.ts';
import { Errands } from '../unit-of-work/errands.ts';
import { FanOut } from '../webhooks/fan-out.ts';
import { WebhookLanes } from '../webhooks/webhook-lanes.ts';
import { WebhookTargets } from '../webhooks/webhook-targets.ts';
import type { Platform } from './platform.ts';

export type Nouns = ReturnType<typeof buildNouns>;

export type Parts = { config: Config; platform: Platform; nouns: Nouns; publicUrl: string };

export function buildNouns(
  config: Config,
  platform: Platform,
  { publicUrl, httpAddress }: { publicUrl: string; httpAddress: string },
  strength: PasswordStrength,
) {
  const { clock, databaseClock, log, tracer, breakers, sql, keyring, redis, hints, jobs } =
    platform;
  // Code that follows tables and keeps memories has no caller, and uses the database directly.
  const { stalenessLimitMs } = config;
  const follower = { database: sql, clock, log, keyring, hints, stalenessLimitMs };
  const issuer = config.issuer ?? publicUrl;
  const tokens = { ...config, issuer, audience: config.audience ?? issuer };
  const keys = new KeySet(sql, keyring, hints);
  const revocations = new RevocationFeed({ ...config, ...follower, databaseClock, keys });
  const roles = new RoleBook(follower);
  const apiKeyMemory = new ApiKeyMemory({ ...config, ...follower, revocations });
  const keyUsage = new KeyUsage(sql, log);
  const keyLimits = new KeyLimits(redis);
  const outbox = new Outbox(jobs, keyring);
  const passwords = new PasswordHasher(config.argon2, log, tracer);
  const passwordPolicy = buildPasswordPolicy(config, platform, strength);
  const keyLookups = new KeyLookups(config.rateLimits);
  const following = { ...follower, roles, revocations, apiKeyMemory };
  const judges = { ...following, keyLimits, keyLookups, keyUsage };
  const verifier = new AccessTokenVerifier({ ...following, ...config, keys, tokens });
  const apiKeyVerifier = new ApiKeyVerifier(judges);
  const auditTrail = new AuditTrail(follower);
  const testProvider = config.testProvider ? testProviderAt(httpAddress) : undefined;
  const database = new Database(sql, clock, { outbox, revocations }, databaseShares(config));
  return {
    ...buildMail(config, platform),
    languages: languagesOf(config, log),
    tokens,
    keys,
    revocations,
    outages: revocations.outages,
    roles,
    outbox,
    errands: new Errands(jobs, keyring),
    database,
    auditQueue: new AuditQueue(sql, clock, log),
    auditTrail,
    verifying: new Set<symbol>(),
    passwords,
    passwordPolicy,
    newPasswords: new NewPasswords(passwords, passwordPolicy, config.passwords.history),
    relyingParty: relyingParty(config, publicUrl),
    providers: new Providers(providersOf(config, testProvider), platform),
    testProvider,
    signInCounts: new SignInCounts(),
    tokenIssuer: new TokenIssuer({ clock, keyring, keys, roles, tokens }),
    verifiers: { verifier, apiKeyVerifier, audience: tokens.audience },
    verifier,
    rules: new Rules(tokens.audience, config.exchangeAudiences),
    internalTokens: new InternalTokens({ ...following, ...config, keys, tokens }),
    workloadTokens: new WorkloadTokens({ ...config, clock, log, breakers }),
    apiKeyMemory,
    keyUsage,
    apiKeyVerifier,
    keyLimits,
    keyLookups,
    scopeUse: new ScopeUse(follower),
    shadowDenials: new ShadowDenials(follower),
    ...buildWebhooks(config, platform, { database, auditTrail }),
  };
}

/** One principal may use three quarters of the connections for calls: the others find the rest. */
function databaseShares({ database: { poolMax, acquireTimeoutMs } }: Config): Shares {
  const share = Math.max(1, Math.floor((3 * poolMax) / 4));
  const refusal = 'too many calls of yours wait for the database; try again in a moment';
  return new Shares(share, acquireTimeoutMs, refusal);
}

function buildWebhooks(
  config: Config,
  platform: Platform,
  { database, auditTrail }: { database: Database; auditTrail: AuditTrail },
) {
  const webhookTargets = new WebhookTargets(config.webhooks);
  const webhookLanes = new WebhookLanes({ ...platform, database, webhookTargets });
  const fanOut = new FanOut({ ...platform, database: platform.sql, auditTrail });
  fanOut.listeners.add(webhookLanes.wake);
  return { webhookTargets, webhookLanes, fanOut };
}

function buildPasswordPolicy(config: Config, platform: Platform, strength: PasswordStrength) {
  const { minLength, pwnedPasswordsUrl: url } = config.passwords;
  const breached = url === undefined ? undefined : new BreachedPasswords(url, platform);
  return new PasswordPolicy({ minLength, strength, breached });
}

/** Without a mail server, mail goes to the mailbox if there is one, or waits. */
function buildMail(config: Config, { clock, breakers }: Pick<Platform, 'clock' | 'breakers'>) {
  const { smtpUrl, mailbox: shownTo, dataDir } = config;
  const mailbox = shownTo === 'off' ? undefined : new Mailbox(dataDir, () => clock.now());
  const mail: MailTransport | undefined =
    smtpUrl === undefined ? mailbox : smtpTransport(smtpUrl, breakers);
  return { mailbox, mail };
}

/** The operator's texts. What is missing is in English; a file that can't be used ends the start. */
function languagesOf({ templatesDir }: Config, log: Log): Languages {
  const { languages, problems, gaps } = readTexts(templatesDir);
  if (problems.length > 0) {
    throw new ConfigError(problems.map((problem) => `COUNTERSIGN_TEMPLATES_DIR: ${problem}`));
  }
  for (const gap of gaps) log.warn({ component: 'texts' }, gap);
  return languages;
}

/** The test provider stands in for those that are not configured. */
export function providersOf({ providers }: Config, testProvider: ProviderSettings | undefined) {
  return testProvider && providers.length === 0 ? [testProvider] : providers;
}

export async function flush({
  auditQueue,
  keyUsage,
  scopeUse,
  shadowDenials,
}: Nouns): Promise<void> {
  for (const waiting of [auditQueue, keyUsage, scopeUse, shadowDenials]) await waiting.flush();
}
