import { isIP } from 'node:net';
import { z } from 'zod';
import { RateTiers } from './access/rate-tiers.ts';
import { type ProviderSettings, readProviders } from './federation/provider-settings.ts';
import { type WorkloadIssuer, workloadIssuers } from './oauth/workload-issuer.ts';
import { type CacheSizes, cacheSizes } from './platform/cache-sizes.ts';
import { type Address, isLoopback, type TlsFiles } from './platform/net.ts';
import { redisUrlProblem } from './platform/redis-url.ts';
import { SAMPLERS, type TracingSettings } from './platform/tracing-settings.ts';
import type { Brand } from './texts/brand.ts';

type Setting<S extends z.ZodType = z.ZodType> = {
  schema: S;
  about: string;
  /** Secrets are masked in every output, and may be given as a file by `NAME_FILE`. */
  secret: boolean;
  /** What applies when the variable is unset, for people. */
  fallback: string;
};

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const duration = z.string().transform((text, ctx) => {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  const unit = units[match?.[2] as keyof typeof units];
  if (!match || unit === undefined) {
    ctx.addIssue({ code: 'custom', message: 'is not a duration like 500ms, 30s, 10m, 12h or 30d' });
    return z.NEVER;
  }
  return Number(match[1]) * unit;
});

const address = z.string().transform((text, ctx): Address => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    ctx.addIssue({
      code: 'custom',
      message: 'is not an address like 127.0.0.1:50051 or [::]:8080',
    });
    return z.NEVER;
  }
  return { host: (match[1] ?? match[2]) as string, port };
});

const durationOrOff = z.union([z.literal('off'), duration], {
  error: 'is not `off` or a duration like 400d',
});

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

const networks = list.refine((items) => items.every(isNetwork), {
  message: 'is not a list of addresses or CIDRs like 10.0.0.0/8,::1',
});

const ports = list
  .refine((items) => items.every((item) => /^[1-9]\d{0,4}$/.test(item) && Number(item) < 65_536), {
    message: 'is not a list of ports like 8080,9443',
  })
  .transform((items) => items.map(Number));

const rateTiers = z.string().transform((text, ctx): RateTiers => {
  const tiers = RateTiers.read(text);
  if (tiers) return tiers;
  ctx.addIssue({ code: 'custom', message: 'is not a list like users=600,role:support=3000' });
  return z.NEVER;
});

const onOff = z.enum(['on', 'off', 'true', 'false']).transform((text) => /on|true/.test(text));

const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `is not a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
  });

const redisUrl = z.string().superRefine((text, ctx) => {
  const message = redisUrlProblem(text);
  if (message !== undefined) ctx.addIssue({ code: 'custom', message });
});

/** Links are made by putting a path and a fragment behind it, and issuers are compared as they are. */
const baseUrl = z.string().refine((text) => BASE_URL.test(text) && URL.canParse(text), {
  message: 'is not a URL like https://id.example.com, without a user, a query or a fragment',
});
const BASE_URL = /^https?:\/\/[^/?#@\\\s]+(\/[^?#\\\s]*)?$/i;

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'is not a whole number')
    .transform(Number)
    .refine((n) => n >= min && n <= max, { message: `is not between ${min} and ${max}` });

const masterKey = z.string().transform((text, ctx) => {
  const keys = new Map<number, Buffer>();
  for (const part of text.trim().split(/[\s,]+/)) {
    const match = /^(?:(\d{1,3}):)?([A-Za-z0-9+/_-]{43}=?)$/.exec(part);
    const version = Number(match?.[1] ?? 1);
    if (!match?.[2] || version < 1 || version > 255 || keys.has(version)) {
      ctx.addIssue({
        code: 'custom',
        message:
          'is not 32 bytes in base64 (`openssl rand -base64 32`), or a list of such keys with versions of 1 to 255 like 2:…,1:…',
      });
      return z.NEVER;
    }
    keys.set(version, Buffer.from(match[2], 'base64'));
  }
  return keys as ReadonlyMap<number, Buffer>;
});

const domain = z
  .string()
  .regex(
    /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'is not a host name like example.com, in lower case',
  )
  .refine((name) => isIP(name) === 0, {
    message: 'is an address, which browsers have no passkeys for',
  });

const passkeyOrigins = list.refine((origins) => origins.every(isPasskeyOrigin), {
  message:
    'is not a list of origins like https://app.example.com or android:apk-key-hash:… (a wildcard is not accepted)',
});

/** As in W3C Baggage, without properties. */
const otlpHeaders = z.string().transform((text, ctx): Readonly<Record<string, string>> => {
  try {
    return Object.fromEntries(text.split(',').map(otlpHeader));
  } catch {
    ctx.addIssue({ code: 'custom', message: 'is not a list like name=value,name2=value2' });
    return z.NEVER;
  }
});

/** Throws for what no request can have, such as a line break: spans would be dropped without a word. */
function otlpHeader(pair: string): [name: string, value: string] {
  const [, name, encoded = ''] = /^\s*([\w!#$%&'*+.^`|~-]+)=(.*)$/.exec(pair) ?? [];
  const value = decodeURIComponent(encoded);
  if (name === undefined || !/^[\t -~\x80-\xff]*$/.test(value)) throw new Error('not a header');
  return [name, value];
}

function setting<S extends z.ZodType>(
  schema: S,
  fallback: string,
  about: string,
  options: { secret?: boolean } = {},
): Setting<S> {
  return { schema, about, fallback, secret: options.secret ?? false };
}

/** A setting whose default is written in the variable's own notation. */
function withDefault<S extends z.ZodType<unknown, string>>(
  schema: S,
  fallback: string,
  about: string,
) {
  return setting(z.string().default(fallback).pipe(schema), fallback, about);
}

/** Every variable that the service reads, in the order in which people meet them. */
export const settings = {
  DATABASE_URL: setting(
    url('postgres:', 'postgresql:').optional(),
    'an embedded database in COUNTERSIGN_DATA_DIR',
    'The PostgreSQL database, `postgres://user:password@host:5432/name`.',
    { secret: true },
  ),
  REDIS_URL: setting(
    redisUrl.optional(),
    'none; one replica needs none',
    'Redis, for what replicas share apart from the database: `redis://user:password@host:6379/0`, `redis+sentinel://user:password@host:26379,host2:26379/master-name`, if the Sentinels have a password with `?sentinel_password=…` behind it, or `redis+cluster://user:password@host:6379,host2:6379`; all with `rediss` for TLS.',
    { secret: true },
  ),
  SMTP_URL: setting(
    url('smtp:', 'smtps:').optional(),
    'see COUNTERSIGN_DEV_MAILBOX; otherwise mail waits in the outbox',
    'The mail server, `smtp://user:password@host:587` or `smtps://…`.',
    { secret: true },
  ),
  COUNTERSIGN_DEV_MAILBOX: setting(
    z.enum(['loopback', 'anyone', 'off'], 'is not loopback, anyone or off').optional(),
    'loopback: embedded, without SMTP_URL, if COUNTERSIGN_HTTP_ADDR and COUNTERSIGN_PUBLIC_URL are loopback; otherwise off',
    'To whom `/dev/mailbox` shows mail instead of sending it, links that open accounts included: `loopback` (callers on this machine, past no proxy), `anyone`, or `off`: mail waits in the outbox until there is an SMTP_URL.',
  ),
  COUNTERSIGN_MASTER_KEY: setting(
    masterKey.optional(),
    'embedded: made once in COUNTERSIGN_DATA_DIR/master.key; otherwise required',
    '32 bytes in base64, from which all keys for stored secrets are derived. To rotate it, put the new one first with its version: `2:…,1:…`. With several replicas, first add it at the end on all of them: `1:…,2:…`.',
    { secret: true },
  ),
  COUNTERSIGN_GRPC_ADDR: withDefault(address, '127.0.0.1:50051', 'Where gRPC listens.'),
  COUNTERSIGN_HTTP_ADDR: withDefault(
    address,
    '127.0.0.1:8080',
    'Where Connect, gRPC-Web and the HTTP endpoints listen.',
  ),
  COUNTERSIGN_METRICS_ADDR: setting(
    address.optional(),
    'COUNTERSIGN_HTTP_ADDR',
    'Where `/metrics` listens, and then nowhere else: without TLS, for anyone who reaches it, or for COUNTERSIGN_METRICS_NETWORKS if they are set.',
  ),
  COUNTERSIGN_METRICS_NETWORKS: withDefault(
    networks,
    '',
    'Networks that may read `/metrics` in addition to the own machine (CIDRs, by comma).',
  ),
  COUNTERSIGN_TLS_CERT_FILE: setting(
    z.string().optional(),
    'no TLS',
    'The certificate chain (PEM) of both listeners; re-read when it changes.',
  ),
  COUNTERSIGN_TLS_KEY_FILE: setting(
    z.string().optional(),
    'no TLS',
    'The private key (PEM) for it.',
  ),
  COUNTERSIGN_TLS_CLIENT_CA_FILE: setting(
    z.string().optional(),
    'clients need no certificate',
    'The authorities (PEM) whose certificates clients must present (mTLS).',
  ),
  COUNTERSIGN_PUBLIC_URL: setting(
    baseUrl.optional(),
    'http:// and COUNTERSIGN_HTTP_ADDR',
    'The URL at which people and verifiers reach the HTTP listener; links in mails begin with it.',
  ),
  COUNTERSIGN_ISSUER: setting(baseUrl.optional(), 'COUNTERSIGN_PUBLIC_URL', 'The `iss` of tokens.'),
  COUNTERSIGN_AUDIENCE: setting(
    z.string().min(1).max(2000).optional(),
    'COUNTERSIGN_ISSUER',
    'The `aud` of tokens.',
  ),
  COUNTERSIGN_DATA_DIR: withDefault(
    z.string().min(1),
    './data',
    'Where the embedded database lives.',
  ),
  COUNTERSIGN_EMBEDDED_MIN_FREE: withDefault(
    wholeNumber(0, 1_000_000),
    '64',
    'MiB that stay free on the disk of the embedded database: with less, writes are refused.',
  ),
  COUNTERSIGN_MEMORY: withDefault(
    wholeNumber(200, 1_000_000),
    '350',
    'MiB of resident memory that a replica stays within, the embedded database (80) and what callers are sending not counted. The sizes of its caches follow: at 350 it remembers 32,768 access tokens and as many API keys.',
  ),
  COUNTERSIGN_ACCESS_TOKEN_TTL: withDefault(duration, '10m', 'How long an access token is valid.'),
  COUNTERSIGN_REFRESH_TOKEN_TTL: withDefault(
    duration,
    '30d',
    'How long a session can last, however often it is refreshed.',
  ),
  COUNTERSIGN_SESSION_IDLE_TTL: withDefault(
    duration,
    '14d',
    'How long a session lasts without a refresh.',
  ),
  COUNTERSIGN_SIGNING_ALG: withDefault(
    z.enum(['ES256', 'EdDSA', 'RS256']),
    'ES256',
    'The algorithm of new signing keys: ES256, EdDSA or RS256.',
  ),
  COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: withDefault(
    onOff,
    'true',
    'Whether signing in needs a verified address.',
  ),
  COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL: setting(
    z.email('is not an address').max(254).optional(),
    'none',
    'Who becomes the first administrator: if there is none at the start, an account with this address becomes one and is mailed a link to set a password.',
  ),
  COUNTERSIGN_MAIL_FROM: withDefault(
    z
      .string()
      .regex(/^[^\r\n]*@[^\r\n]*$/, 'is not a sender like Countersign <no-reply@example.com>'),
    'Countersign <no-reply@localhost>',
    'The sender of mails.',
  ),
  COUNTERSIGN_BRAND_NAME: withDefault(
    z.string().regex(/^[^\p{C}]{1,80}$/u, 'is not a name of 1 to 80 characters on one line'),
    'Countersign',
    'Whose service it is, on the pages that mailed links lead to and in the mails.',
  ),
  COUNTERSIGN_BRAND_URL: setting(
    url('http:', 'https:').optional(),
    'none',
    'Where that name leads, `https://example.com`.',
  ),
  COUNTERSIGN_BRAND_COLOR: withDefault(
    z.string().regex(/^#[\da-f]{6}$/i, 'is not a colour like #1f5fbf'),
    '#1f5fbf',
    'The colour of buttons and links there, made lighter or darker where it could not be read.',
  ),
  COUNTERSIGN_APP_URL: setting(
    url('http:', 'https:').optional(),
    'none',
    'Where those pages lead on to when they are done: your own, where people sign in.',
  ),
  COUNTERSIGN_TEMPLATES_DIR: setting(
    z.string().optional(),
    'none; mails and pages are in English',
    'A folder of texts for mails and pages, a file for each language: `de.json`. `countersign mail texts` prints the English ones to begin with. Read at the start.',
  ),
  COUNTERSIGN_TRUSTED_CALLERS: setting(
    networks.optional(),
    'embedded: loopback; otherwise none',
    'Networks whose callers may introspect tokens, verify API keys and judge requests for a proxy without a credential (CIDRs, by comma).',
  ),
  COUNTERSIGN_TRUSTED_PROXIES: withDefault(
    networks,
    '',
    'Networks whose `X-Forwarded-For` and `Forwarded` are believed (CIDRs, by comma). If both are present and differ, or neither can be read, the caller has no address that opens anything.',
  ),
  COUNTERSIGN_EXCHANGE_AUDIENCES: withDefault(
    list,
    '',
    'Audiences for which the rule of a route (`exchange`) or a service (ExchangeToken) may exchange a credential (by comma).',
  ),
  COUNTERSIGN_WORKLOAD_ISSUERS: setting(
    workloadIssuers.optional(),
    'none',
    'Issuers outside whose tokens stand for service accounts, as JSON: `[{"issuer": "https://…", "audience": "…", "subjects": [{"subject": "system:serviceaccount:shop:orders", "service_account": "…"}]}]`, and `jwks_uri` if discovery does not tell it. `*` in a subject is any text without `:` and `/`.',
  ),
  COUNTERSIGN_MESH_SHADOW: withDefault(
    onOff,
    'off',
    'Whether proxies let all requests through, and what would have been refused is only recorded.',
  ),
  COUNTERSIGN_ALLOWED_HOSTS: setting(
    list.optional(),
    "embedded: localhost, 127.0.0.1, [::1] and COUNTERSIGN_PUBLIC_URL's host; otherwise any",
    'Host names that HTTP requests may name, on any port (by comma). Other names are refused, so that no page can make its own name resolve to the service (DNS rebinding).',
  ),
  COUNTERSIGN_DOCS: withDefault(
    onOff,
    'on',
    'Whether the HTTP listener shows the contract: as a page at `/docs`, and in OpenAPI at `/openapi.json`.',
  ),
  COUNTERSIGN_CORS_ORIGINS: withDefault(
    list.refine((origins) => origins.every(isOrigin), {
      message: 'is not a list of origins like https://app.example.com (a wildcard is not accepted)',
    }),
    '',
    'Origins whose pages may call the HTTP listener, and have browsers keep their sessions (by comma).',
  ),
  COUNTERSIGN_PASSKEY_RP_ID: setting(
    domain.optional(),
    "COUNTERSIGN_PUBLIC_URL's host, or localhost",
    'The domain that passkeys belong to. A passkey works there and on the hosts below it; with another domain, those registered before stop working.',
  ),
  COUNTERSIGN_PASSKEY_ORIGINS: setting(
    passkeyOrigins.optional(),
    'COUNTERSIGN_PUBLIC_URL and COUNTERSIGN_CORS_ORIGINS',
    'Origins whose pages and apps may use passkeys (by comma): `https://…`, or `android:apk-key-hash:…` of an Android app.',
  ),
  COUNTERSIGN_OIDC_PROVIDERS: setting(
    z.string().optional(),
    'none',
    'The identity providers that people can sign in with (Google, GitHub, Microsoft, GitLab, any by OpenID Connect), a list in JSON: see docs/federation.md. Re-read when its file changes.',
    { secret: true },
  ),
  COUNTERSIGN_RATE_LIMITS: withDefault(
    onOff,
    'on',
    'Whether calls are limited by address and by principal.',
  ),
  COUNTERSIGN_RATE_LIMIT_TIERS: withDefault(
    rateTiers,
    '',
    'Calls a minute for principals that shall have other than 300 (by comma): `users=600,service_accounts=3000,role:support=1200`, or the id of an account or service account in place of a name. An id decides; otherwise the most counts.',
  ),
  COUNTERSIGN_UNARY_FAST_PATH: withDefault(
    onOff,
    'on',
    "Whether plain unary calls bypass grpc-js and Connect's handlers, which saves most of a token check. `off` serves every call by them, with the same answers.",
  ),
  COUNTERSIGN_ARGON2_MEMORY_KIB: withDefault(
    wholeNumber(7168, 4_194_304),
    '19456',
    'Memory of one password hash, in KiB.',
  ),
  COUNTERSIGN_ARGON2_TIME_COST: withDefault(
    wholeNumber(1, 100),
    '2',
    'Passes of one password hash.',
  ),
  COUNTERSIGN_PASSWORD_MIN_LENGTH: withDefault(
    wholeNumber(8, 64),
    '12',
    'The minimum length of a new password in characters, 8 to 64.',
  ),
  COUNTERSIGN_PASSWORD_HISTORY: withDefault(
    wholeNumber(0, 24),
    '5',
    'How many of the passwords of an account, including the present one, a new one must differ from, 0 to 24.',
  ),
  COUNTERSIGN_PWNED_PASSWORDS_URL: setting(
    url('http:', 'https:').optional(),
    'none; new passwords are compared with local lists only',
    'Where new passwords are looked up among breached ones by the first five hex digits of their SHA-1, such as `https://api.pwnedpasswords.com/range`. When it does not answer, passwords pass.',
  ),
  COUNTERSIGN_AUDIT_RETENTION: withDefault(
    durationOrOff,
    '400d',
    'How long audit events are kept; `off` keeps them forever. Older ones are deleted a day at a time; the rest stays provable.',
  ),
  COUNTERSIGN_WEBHOOK_ALLOW_HTTP: withDefault(
    onOff,
    'off',
    'Whether webhooks may be sent to `http://`, without TLS (port 80).',
  ),
  COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS: withDefault(
    networks,
    '',
    'Networks that webhooks may be sent to in addition to the Internet, such as your own (CIDRs, by comma). Addresses where a cloud hands out credentials are opened only one by one.',
  ),
  COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: withDefault(
    ports,
    '',
    'Ports that webhooks may be sent to in addition to 443 and 8443 (by comma).',
  ),
  COUNTERSIGN_DB_POOL_MAX: withDefault(
    wholeNumber(1, 1000),
    '10',
    'The maximum number of connections to PostgreSQL that the calls to one replica take. The replica has up to five more for its own work.',
  ),
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: withDefault(
    duration,
    '500ms',
    'How long a call waits for one of them.',
  ),
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: withDefault(
    duration,
    '800ms',
    'How long a call waits for the database, 30s at most; the server ends a statement that takes longer.',
  ),
  COUNTERSIGN_DB_IDLE_TIMEOUT: withDefault(
    duration,
    '30s',
    'How long an unused connection is kept.',
  ),
  COUNTERSIGN_STALENESS_LIMIT: withDefault(
    duration.refine((ms) => ms >= 3000 && ms <= 600_000, { message: 'is not between 3s and 10m' }),
    '10s',
    'How long tokens, keys and roles are checked from memory while the database is away, 3s to 10m. After that the replica is not ready until the database is back.',
  ),
  COUNTERSIGN_LOG_LEVEL: withDefault(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'trace, debug, info, warn, error, fatal or silent.',
  ),
  COUNTERSIGN_SHUTDOWN_GRACE: withDefault(
    duration,
    '25s',
    'How long calls in flight may take after SIGTERM.',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(
    baseUrl.optional(),
    'none; nothing is traced',
    'The collector that traces are sent to by OTLP over HTTP, `http://collector:4318`: see docs/tracing.md.',
  ),
  OTEL_EXPORTER_OTLP_HEADERS: setting(
    otlpHeaders.optional(),
    'none',
    'Headers for the collector, such as credentials: `name=value,name2=value2`, percent-encoded.',
    { secret: true },
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: withDefault(
    z.enum(['http/protobuf', 'http/json'], 'is not http/protobuf or http/json'),
    'http/protobuf',
    'How traces are written: `http/protobuf` or `http/json`.',
  ),
  OTEL_SERVICE_NAME: withDefault(
    z.string().min(1).max(200),
    'countersign',
    'The name of this service in traces.',
  ),
  OTEL_TRACES_SAMPLER: withDefault(
    z.enum(SAMPLERS, `is not one of ${SAMPLERS.join(', ')}`),
    'parentbased_always_on',
    `Which traces are recorded: ${SAMPLERS.join(', ')}.`,
  ),
  OTEL_TRACES_SAMPLER_ARG: withDefault(
    z
      .string()
      .regex(/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/, 'is not a number from 0 to 1')
      .transform(Number),
    '1',
    'The share of traces that the samplers by ratio record, 0 to 1.',
  ),
} as const satisfies Record<string, Setting>;

type Name = keyof typeof settings;
type Values = { [N in Name]: z.output<(typeof settings)[N]['schema']> };

/** The effective configuration. Durations are in milliseconds. */
export type Config = Readonly<{
  databaseUrl: string | undefined;
  redisUrl: string | undefined;
  smtpUrl: string | undefined;
  /** Who may read the mail that is kept here because no mail server is configured. */
  mailbox: 'loopback' | 'anyone' | 'off';
  /** Whether there is a page to try the service with, on its own machine. */
  devApp: boolean;
  /** Whether a provider that takes people at their word stands in for those that are not configured. */
  testProvider: boolean;
  /** Whether anyone may read the contract as a page and in OpenAPI. */
  docs: boolean;
  masterKeys: ReadonlyMap<number, Buffer> | undefined;
  grpcAddress: Address;
  httpAddress: Address;
  /** Undefined: `/metrics` is among the HTTP endpoints. */
  metricsAddress: Address | undefined;
  metricsNetworks: readonly string[];
  tls: TlsFiles | undefined;
  /** Undefined: the address that the HTTP listener got. */
  publicUrl: string | undefined;
  issuer: string | undefined;
  audience: string | undefined;
  dataDir: string;
  embeddedMinFreeBytes: number;
  caches: CacheSizes;
  accessTokenTtlMs: number;
  sessionTtlMs: number;
  sessionIdleTtlMs: number;
  signingAlg: 'ES256' | 'EdDSA' | 'RS256';
  requireVerifiedEmail: boolean;
  /** Undefined: nobody is made an administrator at the start. */
  bootstrapAdminEmail: string | undefined;
  mailFrom: string;
  /** Whose service people see: in mails, and on the pages that their links lead to. */
  brand: Brand;
  /** Texts in other languages. Undefined: English. */
  templatesDir: string | undefined;
  trustedCallers: readonly string[];
  trustedProxies: readonly string[];
  exchangeAudiences: readonly string[];
  workloadIssuers: readonly WorkloadIssuer[];
  meshShadow: boolean;
  /** Empty: any. */
  allowedHosts: readonly string[];
  corsOrigins: readonly string[];
  /** Undefined: what follows from the public URL and the CORS origins. */
  passkeys: { rpId: string | undefined; origins: readonly string[] | undefined };
  /** The identity providers that people can sign in with. */
  providers: readonly ProviderSettings[];
  rateLimits: boolean;
  rateLimitTiers: RateTiers;
  unaryFastPath: boolean;
  argon2: { memoryCost: number; timeCost: number };
  passwords: {
    minLength: number;
    /** How many passwords, the present one among them, a new one must differ from. */
    history: number;
    /** The range endpoint of Pwned Passwords; undefined: nothing is asked. */
    pwnedPasswordsUrl: string | undefined;
  };
  auditRetentionMs: number | 'off';
  /** Where webhooks may be sent in addition to the Internet. */
  webhooks: {
    allowHttp: boolean;
    allowedNetworks: readonly string[];
    allowedPorts: readonly number[];
  };
  database: {
    poolMax: number;
    acquireTimeoutMs: number;
    statementTimeoutMs: number;
    idleTimeoutMs: number;
  };
  /** How long (ms) memory is trusted while the database is away. */
  stalenessLimitMs: number;
  logLevel: string;
  shutdownGraceMs: number;
  /** Undefined: nothing is traced. */
  tracing: TracingSettings | undefined;
  /** The files that secrets were read from, to be watched. */
  files: readonly string[];
}>;

/** The configuration is unusable; `problems` lists everything that is wrong with it. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration has ${problems.length} problem(s)`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;
export type ReadFile = (path: string) => string;

/**
 * The configuration that the environment describes. Reads nothing but `env` and, for `X_FILE`
 * variables, files through `readFile`. Throws `ConfigError` with every problem at once; no value of
 * a secret is in it.
 */
export function readConfig(env: Environment, readFile: ReadFile): Config {
  const problems: string[] = [];
  const files: string[] = [];
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as Name[]) {
    const text = readVariable(name, env, readFile, files, problems);
    const parsed = settings[name].schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else problems.push(...parsed.error.issues.map((issue) => `${name} ${issue.message}`));
  }
  const json = values['COUNTERSIGN_OIDC_PROVIDERS'] as string | undefined;
  const read = readProviders(json ?? '[]', (path) => {
    files.push(path);
    return readFile(path);
  });
  problems.push(...read.problems.map((problem) => `COUNTERSIGN_OIDC_PROVIDERS ${problem}`));
  if (problems.length === 0) problems.push(...contradictions(values as Values));
  if (problems.length > 0) throw new ConfigError(problems);
  return assemble(values as Values, files, read.providers);
}

function readVariable(
  name: Name,
  env: Environment,
  readFile: ReadFile,
  files: string[],
  problems: string[],
): string | undefined {
  const direct = env[name] === '' ? undefined : env[name];
  const path = settings[name].secret ? env[`${name}_FILE`] : undefined;
  if (path === undefined || path === '') return direct;
  if (direct !== undefined) problems.push(`${name} and ${name}_FILE are both set`);
  files.push(path);
  try {
    return readFile(path).trim();
  } catch (error) {
    problems.push(`${name}_FILE can't be read: ${(error as Error).message}`);
    return undefined;
  }
}

function contradictions(values: Values): string[] {
  const problems: string[] = [];
  const { COUNTERSIGN_TLS_CERT_FILE: cert, COUNTERSIGN_TLS_KEY_FILE: key } = values;
  if (values.DATABASE_URL !== undefined && values.COUNTERSIGN_MASTER_KEY === undefined) {
    problems.push('COUNTERSIGN_MASTER_KEY is required where DATABASE_URL is set');
  }
  if ((cert === undefined) !== (key === undefined)) {
    problems.push(
      'COUNTERSIGN_TLS_CERT_FILE and COUNTERSIGN_TLS_KEY_FILE go together: set both, or neither',
    );
  }
  if (values.COUNTERSIGN_TLS_CLIENT_CA_FILE !== undefined && cert === undefined) {
    problems.push('COUNTERSIGN_TLS_CLIENT_CA_FILE needs COUNTERSIGN_TLS_CERT_FILE');
  }
  if (![undefined, 'off'].includes(values.COUNTERSIGN_DEV_MAILBOX) && !hasMailbox(values)) {
    problems.push('COUNTERSIGN_DEV_MAILBOX is for the embedded database without an SMTP_URL');
  }
  const own = values.COUNTERSIGN_ISSUER ?? values.COUNTERSIGN_PUBLIC_URL;
  if (values.COUNTERSIGN_WORKLOAD_ISSUERS?.some(({ issuer }) => issuer === own)) {
    problems.push('COUNTERSIGN_WORKLOAD_ISSUERS names this service itself');
  }
  if (values.COUNTERSIGN_ACCESS_TOKEN_TTL > values.COUNTERSIGN_REFRESH_TOKEN_TTL) {
    problems.push('COUNTERSIGN_ACCESS_TOKEN_TTL is longer than COUNTERSIGN_REFRESH_TOKEN_TTL');
  }
  return problems;
}

function assemble(
  v: Values,
  files: readonly string[],
  providers: readonly ProviderSettings[],
): Config {
  const publicUrl = v.COUNTERSIGN_PUBLIC_URL?.replace(/\/+$/, '');
  const issuer = v.COUNTERSIGN_ISSUER ?? publicUrl;
  return {
    databaseUrl: v.DATABASE_URL,
    redisUrl: v.REDIS_URL,
    smtpUrl: v.SMTP_URL,
    mailbox: v.COUNTERSIGN_DEV_MAILBOX ?? defaultMailbox(v),
    devApp: v.DATABASE_URL === undefined && isOwn(v),
    testProvider: providers.length === 0 && mayPretend(v),
    docs: v.COUNTERSIGN_DOCS,
    masterKeys: v.COUNTERSIGN_MASTER_KEY,
    grpcAddress: v.COUNTERSIGN_GRPC_ADDR,
    httpAddress: v.COUNTERSIGN_HTTP_ADDR,
    metricsAddress: v.COUNTERSIGN_METRICS_ADDR,
    metricsNetworks: v.COUNTERSIGN_METRICS_NETWORKS,
    tls: tlsFiles(v),
    publicUrl,
    issuer,
    audience: v.COUNTERSIGN_AUDIENCE ?? issuer,
    dataDir: v.COUNTERSIGN_DATA_DIR,
    embeddedMinFreeBytes: v.COUNTERSIGN_EMBEDDED_MIN_FREE * 1024 * 1024,
    caches: cacheSizes(v.COUNTERSIGN_MEMORY),
    accessTokenTtlMs: v.COUNTERSIGN_ACCESS_TOKEN_TTL,
    sessionTtlMs: v.COUNTERSIGN_REFRESH_TOKEN_TTL,
    sessionIdleTtlMs: v.COUNTERSIGN_SESSION_IDLE_TTL,
    signingAlg: v.COUNTERSIGN_SIGNING_ALG,
    requireVerifiedEmail: v.COUNTERSIGN_REQUIRE_VERIFIED_EMAIL,
    bootstrapAdminEmail: v.COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL,
    mailFrom: v.COUNTERSIGN_MAIL_FROM,
    brand: brandOf(v),
    templatesDir: v.COUNTERSIGN_TEMPLATES_DIR,
    trustedCallers:
      v.COUNTERSIGN_TRUSTED_CALLERS ?? (v.DATABASE_URL === undefined ? ['127.0.0.0/8', '::1'] : []),
    trustedProxies: v.COUNTERSIGN_TRUSTED_PROXIES,
    exchangeAudiences: v.COUNTERSIGN_EXCHANGE_AUDIENCES,
    workloadIssuers: v.COUNTERSIGN_WORKLOAD_ISSUERS ?? [],
    meshShadow: v.COUNTERSIGN_MESH_SHADOW,
    allowedHosts: v.COUNTERSIGN_ALLOWED_HOSTS ?? defaultHosts(v.DATABASE_URL, publicUrl),
    corsOrigins: v.COUNTERSIGN_CORS_ORIGINS,
    passkeys: { rpId: v.COUNTERSIGN_PASSKEY_RP_ID, origins: v.COUNTERSIGN_PASSKEY_ORIGINS },
    providers,
    ...rateLimitsOf(v),
    unaryFastPath: v.COUNTERSIGN_UNARY_FAST_PATH,
    argon2: {
      memoryCost: v.COUNTERSIGN_ARGON2_MEMORY_KIB,
      timeCost: v.COUNTERSIGN_ARGON2_TIME_COST,
    },
    passwords: {
      minLength: v.COUNTERSIGN_PASSWORD_MIN_LENGTH,
      history: v.COUNTERSIGN_PASSWORD_HISTORY,
      pwnedPasswordsUrl: v.COUNTERSIGN_PWNED_PASSWORDS_URL,
    },
    auditRetentionMs: v.COUNTERSIGN_AUDIT_RETENTION,
    webhooks: webhookRules(v),
    database: databaseBounds(v),
    stalenessLimitMs: v.COUNTERSIGN_STALENESS_LIMIT,
    logLevel: v.COUNTERSIGN_LOG_LEVEL,
    shutdownGraceMs: v.COUNTERSIGN_SHUTDOWN_GRACE,
    tracing: tracingOf(v),
    files,
  };
}

function rateLimitsOf(v: Values): Pick<Config, 'rateLimits' | 'rateLimitTiers'> {
  return { rateLimits: v.COUNTERSIGN_RATE_LIMITS, rateLimitTiers: v.COUNTERSIGN_RATE_LIMIT_TIERS };
}

function tlsFiles(v: Values): Config['tls'] {
  const { COUNTERSIGN_TLS_CERT_FILE: certFile, COUNTERSIGN_TLS_KEY_FILE: keyFile } = v;
  if (certFile === undefined || keyFile === undefined) return undefined;
  return { certFile, keyFile, clientCaFile: v.COUNTERSIGN_TLS_CLIENT_CA_FILE };
}

function tracingOf(v: Values): Config['tracing'] {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = v;
  if (endpoint === undefined) return undefined;
  return {
    endpoint,
    protocol: v.OTEL_EXPORTER_OTLP_PROTOCOL,
    headers: v.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    serviceName: v.OTEL_SERVICE_NAME,
    sampler: v.OTEL_TRACES_SAMPLER,
    ratio: v.OTEL_TRACES_SAMPLER_ARG,
  };
}

function databaseBounds(v: Values): Config['database'] {
  return {
    poolMax: v.COUNTERSIGN_DB_POOL_MAX,
    acquireTimeoutMs: v.COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT,
    statementTimeoutMs: v.COUNTERSIGN_DB_STATEMENT_TIMEOUT,
    idleTimeoutMs: v.COUNTERSIGN_DB_IDLE_TIMEOUT,
  };
}

function webhookRules(values: Values): Config['webhooks'] {
  return {
    allowHttp: values.COUNTERSIGN_WEBHOOK_ALLOW_HTTP,
    allowedNetworks: values.COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS,
    allowedPorts: values.COUNTERSIGN_WEBHOOK_ALLOWED_PORTS,
  };
}

function brandOf(v: Values): Brand {
  return {
    name: v.COUNTERSIGN_BRAND_NAME,
    url: v.COUNTERSIGN_BRAND_URL,
    color: v.COUNTERSIGN_BRAND_COLOR,
    appUrl: v.COUNTERSIGN_APP_URL,
  };
}

function hasMailbox(values: Values): boolean {
  return values.DATABASE_URL === undefined && values.SMTP_URL === undefined;
}

/** A service that others are meant to reach shows nobody the links it would mail. */
function defaultMailbox(values: Values): Config['mailbox'] {
  return hasMailbox(values) && isOwn(values) ? 'loopback' : 'off';
}

/**
 * Whether anyone who reaches it may say that an address is theirs. Who reads the mailbox can prove that of any
 * address; so this is never the case where the mailbox is off, or where others reach either listener.
 */
function mayPretend(values: Values): boolean {
  const { COUNTERSIGN_GRPC_ADDR: grpc, COUNTERSIGN_TLS_CERT_FILE: cert } = values;
  const { COUNTERSIGN_ALLOWED_HOSTS: hosts = [], COUNTERSIGN_TRUSTED_PROXIES: proxies } = values;
  // Behind a proxy, callers choose what name they call by.
  const isBehind = proxies.length > 0 || !hosts.every(isLoopback);
  const isAlone = isOwn(values) && isLoopback(grpc.host) && cert === undefined && !isBehind;
  return isAlone && hasMailbox(values) && values.COUNTERSIGN_DEV_MAILBOX !== 'off';
}

/** Whether only its own machine is meant to reach it. */
function isOwn({ COUNTERSIGN_HTTP_ADDR: address, COUNTERSIGN_PUBLIC_URL: url }: Values): boolean {
  return isLoopback(address.host) && (!url || isLoopback(new URL(url).hostname));
}

/** The embedded default answers on its own machine, where any page in a browser can reach it. */
function defaultHosts(databaseUrl: string | undefined, publicUrl: string | undefined): string[] {
  if (databaseUrl !== undefined) return [];
  const own = publicUrl === undefined ? [] : [new URL(publicUrl).hostname];
  return ['localhost', '127.0.0.1', '[::1]', ...own];
}

/**
 * Variables that begin with `COUNTERSIGN_` but are no settings: typos, or settings of another version.
 */
export function unknownVariables(env: Environment): string[] {
  return Object.keys(env).filter((name) => {
    const base = name.replace(/_FILE$/, '') as Name;
    const known = name in settings || (base in settings && settings[base].secret);
    return name.startsWith('COUNTERSIGN_') && !known;
  });
}

function isPasskeyOrigin(text: string): boolean {
  if (/^android:apk-key-hash:[\w-]{43}$/.test(text)) return true;
  return /^https?:/.test(text) && isOrigin(text);
}

/** As browsers write it. No browser has an origin with a wildcard, and nothing here would expand one. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && !text.includes('*');
}

function isNetwork(text: string): boolean {
  const [host = '', prefix, ...rest] = text.split('/');
  const family = isIP(host);
  if (family === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}
