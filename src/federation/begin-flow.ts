import { createHash, randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { Log } from '../platform/log.ts';
import { type FlowPurpose, sealFlow } from './login-token.ts';
import { EXCHANGE_MS, providerFailure } from './provider-failure.ts';
import type { Providers } from './providers.ts';
import { isListedRedirect } from './redirect-uris.ts';

/** How long a person may take at the provider. */
const FLOW_TTL_MS = 10 * 60_000;

/** Where to send the person, and what to keep until they come back. */
export type BegunFlow = { authorizationUrl: string; loginToken: string; expiresAt: Date };

export type FlowRequest = {
  provider: string;
  redirectUri: string;
  isFresh?: boolean;
  deviceLabel?: string;
  accountId?: string;
  sessionId?: string;
};

/**
 * Prepares a visit to a provider. Nothing is stored. Throws `INVALID_REQUEST` for a provider or a redirect URI
 * that is not configured, and `DEPENDENCY_UNAVAILABLE`.
 */
export async function beginFlow(
  needs: { providers: Providers; keyring: Keyring; clock: Clock; log: Log },
  signal: AbortSignal,
  purpose: FlowPurpose,
  request: FlowRequest,
): Promise<BegunFlow> {
  const { provider: id, redirectUri, isFresh = false } = request;
  const provider = needs.providers.find(id);
  if (!provider) throw invalidField('provider', 'is not the name of a configured provider');
  if (!isListedRedirect(provider.settings.redirectUris, redirectUri)) {
    throw invalidField('redirect_uri', 'is not one of those that the provider is configured with');
  }
  const [state, nonce, verifier] = [secret(), secret(), secret()];
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const visit = { redirectUri, state, nonce, challenge, isFresh };
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(EXCHANGE_MS)]);
  const url = await provider.client.authorizationUrl(visit, deadline).catch((error) => {
    signal.throwIfAborted();
    throw providerFailure(needs.log, provider.settings, error);
  });
  const beganAt = needs.clock.now().getTime();
  const expiresAt = beganAt + FLOW_TTL_MS;
  const { deviceLabel = '', accountId = '', sessionId = '' } = request;
  const loginToken = sealFlow(needs.keyring, purpose, {
    ...{ id: uuidv7(), provider: id, redirectUri, state, nonce, verifier, isFresh },
    ...{ deviceLabel, accountId, sessionId, beganAt, expiresAt },
  });
  return { authorizationUrl: url.href, loginToken, expiresAt: new Date(expiresAt) };
}

/** 256 bits, in 43 characters that a PKCE verifier may have. */
function secret(): string {
  return randomBytes(32).toString('base64url');
}
