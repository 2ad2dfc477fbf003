import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Log } from '../platform/log.ts';
import { type BegunFlow, beginFlow } from './begin-flow.ts';
import type { Providers } from './providers.ts';

export type StartFederatedLogin = {
  provider: string;
  redirectUri: string;
  deviceLabel: string;
  /** Whether the provider has to have the person prove again who they are. */
  reauthenticate: boolean;
};

/**
 * Returns where to send a person who wants to sign in with a provider. Nothing is stored until they come
 * back. Throws `INVALID_REQUEST`, `DEPENDENCY_UNAVAILABLE`.
 */
export function startFederatedLogin(
  needs: { providers: Providers; keyring: Keyring; clock: Clock; log: Log },
  caller: Caller,
  { provider, redirectUri, deviceLabel, reauthenticate: isFresh }: StartFederatedLogin,
): Promise<BegunFlow> {
  const visit = { provider, redirectUri, deviceLabel, isFresh };
  return beginFlow(needs, caller.signal, 'sign_in', visit);
}
