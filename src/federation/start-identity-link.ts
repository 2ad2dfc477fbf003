import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Log } from '../platform/log.ts';
import { type BegunFlow, beginFlow } from './begin-flow.ts';
import type { Providers } from './providers.ts';

/**
 * Returns where to send the caller, who wants to link an identity to their account. The flow is bound to
 * their session. Throws `INVALID_REQUEST`, `DEPENDENCY_UNAVAILABLE`.
 */
export function startIdentityLink(
  needs: { providers: Providers; keyring: Keyring; clock: Clock; log: Log },
  { subject: accountId, sessionId, signal }: Caller,
  { provider, redirectUri }: { provider: string; redirectUri: string },
): Promise<BegunFlow> {
  return beginFlow(needs, signal, 'link', { provider, redirectUri, accountId, sessionId });
}
