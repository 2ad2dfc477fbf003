import type { Transport } from '@connectrpc/connect';

import { createTransport } from '@connectrpc/connect/protocol-connect';
import { fetchClient } from './fetch-client.ts';
import type { Credential } from './own-credential.ts';
import type { Clock } from './service-clock.ts';
import { fetchByTls, type TlsFiles } from './tls-fetch.ts';

/** What a verifier does while it has not heard from the service for longer than its bound. */
export type WhileStale =
  /** Answers UNAVAILABLE, which says nothing about the credential. */
  | 'refuse'
  /** Asks the service about each token (`IntrospectToken`), and answers UNAVAILABLE if that fails. */
  | 'ask'
  /** Goes by what it heard last, for `acceptForMs`, then refuses. Revoked tokens may pass meanwhile. */
  | 'accept';

/** Where Countersign is. */
export type ServiceAddress = {
  /** The HTTP listener of Countersign, such as `http://countersign:8080`. */
  readonly baseUrl?: string;
  /** How to call Countersign, in place of `baseUrl`: such as `createGrpcTransport` of connect-node. */
  readonly transport?: Transport;
  /**
   * For certificates that your machines don't trust anyway: the authority (PEM), and a client certificate
   * if Countersign asks for one. A `transport` brings its own; the key set is read with these.
   */
  readonly tls?: TlsFiles;
  /** For proxies and tests. */
  readonly fetch?: typeof fetch;
};

export type VerifierOptions = ServiceAddress & {
  /** What tokens must have as `iss`: COUNTERSIGN_ISSUER. */
  readonly issuer: string;
  /** What tokens must have in `aud`: the name of your service. */
  readonly audience: string;
  /** The address of the key set. By default `/.well-known/jwks.json` of `baseUrl`, else by discovery. */
  readonly jwksUrl?: string;
  /**
   * The verifier's own credential: an API key or access token with the permission `tokens.introspect`.
   * Without it, it must call from a network in COUNTERSIGN_TRUSTED_CALLERS.
   */
  readonly credential?: Credential;
  /** Default: `refuse`. */
  readonly whileStale?: WhileStale;
  /** The bound: what was revoked longer ago than this is never accepted (ms). Default: 15 seconds. */
  readonly staleAfterMs?: number;
  /** For `accept`: how long after the service was last heard (ms). Required then. */
  readonly acceptForMs?: number;
  /** How many distinct tokens are remembered. Default: 10,000. */
  readonly maxTokens?: number;
  /** How many revocations are held. With more in force it goes by `whileStale`. Default: a million. */
  readonly maxRevocations?: number;
  /**
   * How long an API key is remembered (ms): changes of a key other than its revocation are noticed this
   * late. 0: not at all. Default: 1 second.
   */
  readonly rememberApiKeyMs?: number;
  /** How long a question to the service may take, and your function that gives the credential (ms). Default: 2 seconds. */
  readonly askTimeoutMs?: number;
  /** For tests. */
  readonly clock?: Clock;
};

const DEFAULTS = {
  whileStale: 'refuse',
  staleAfterMs: 15_000,
  acceptForMs: 0,
  maxTokens: 10_000,
  maxRevocations: 1_000_000,
  rememberApiKeyMs: 1000,
  askTimeoutMs: 2000,
} as const;

/** The options, with the default of each that was left out. */
export type Settings = VerifierOptions & Required<Pick<VerifierOptions, keyof typeof DEFAULTS>>;

/** Throws for options that contradict each other, or leave out what is needed. */
export function settingsOf(options: VerifierOptions): Settings {
  // What is undefined was left out: as in `Number(…) || undefined`.
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const settings: Settings = { ...DEFAULTS, ...(Object.fromEntries(given) as VerifierOptions) };
  requireUsable(settings);
  return settings;
}

/** Less than two checkpoints, and each network hiccup would be an outage. */
const LEAST_STALE_MS = 6000;

function requireUsable(settings: Settings): void {
  const { issuer, audience, whileStale, staleAfterMs, acceptForMs } = settings;
  if (!issuer) throw new Error('`issuer` is missing: what tokens have as `iss`');
  if (!audience) throw new Error('`audience` is missing: what tokens must have in `aud`');
  for (const name of ['maxTokens', 'maxRevocations', 'rememberApiKeyMs', 'askTimeoutMs'] as const) {
    const least = name === 'askTimeoutMs' ? 1 : 0;
    if (!(settings[name] >= least))
      throw new Error(`\`${name}\` must be a number from ${least} up`);
  }
  if (!(staleAfterMs >= LEAST_STALE_MS)) {
    throw new Error('`staleAfterMs` must be at least 6000: the service is heard every 5 seconds');
  }
  if (!['refuse', 'ask', 'accept'].includes(whileStale)) {
    throw new Error('`whileStale` must be `refuse`, `ask` or `accept`');
  }
  if (whileStale === 'accept' && !(acceptForMs > staleAfterMs)) {
    throw new Error('`accept` needs `acceptForMs`, longer than `staleAfterMs`');
  }
}

/** Calls Countersign by the Connect protocol and `fetch`, which need no further package. */
export function transportOf(options: ServiceAddress): Transport {
  const { baseUrl, transport } = options;
  if (!baseUrl === !transport) throw new Error('give either `baseUrl` or `transport`');
  if (transport) return transport;
  if (!/^https?:\/\//.test(baseUrl ?? '') || !URL.canParse(baseUrl ?? '')) {
    throw new Error(
      '`baseUrl` must be a URL with http: or https:, such as http://countersign:8080',
    );
  }
  if (options.tls && baseUrl?.startsWith('http:')) {
    throw new Error('`tls` needs a `baseUrl` with https:');
  }
  return createTransport({
    baseUrl: baseUrl ?? '',
    httpClient: fetchClient(fetchOf(options)),
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: 1024 * 1024,
    writeMaxBytes: 1024 * 1024,
  });
}

/** By what addresses of `ServiceAddress` are read. */
export function fetchOf(options: ServiceAddress): typeof fetch {
  return options.fetch ?? (options.tls ? fetchByTls(options.tls) : fetch);
}

/** The address of the key set, or the issuer that names it. */
export function keySourceOf({ jwksUrl, baseUrl, issuer }: VerifierOptions) {
  if (jwksUrl) return { jwksUrl };
  return baseUrl ? { jwksUrl: `${baseUrl.replace(/\/$/, '')}/.well-known/jwks.json` } : { issuer };
}
