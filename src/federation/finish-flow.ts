import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { Log } from '../platform/log.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ExternalIdentity } from './external-identity.ts';
import { type Flow, type FlowPurpose, invalidLoginToken, openFlow } from './login-token.ts';
import { EXCHANGE_MS, notConfirmed, providerFailure, redirectFailure } from './provider-failure.ts';
import type { ProviderSettings } from './provider-settings.ts';
import type { Provider, Providers } from './providers.ts';
import { usedFlowsIn } from './used-flow.repository.ts';

/** A provider's clock may be behind ours, and says seconds only. */
const CLOCK_TOLERANCE_MS = 60_000;

/** What a provider's redirect carries, and the token of whoever sent the person there. */
export type ProviderAnswer = {
  loginToken: string;
  state: string;
  code: string;
  iss: string;
  /** Empty unless the provider refused. */
  error: string;
};

export type FinishedFlow = { flow: Flow; settings: ProviderSettings; identity: ExternalIdentity };

type FinishNeeds = {
  database: Database;
  keyring: Keyring;
  clock: Clock;
  log: Log;
  providers: Providers;
};

/**
 * Finds out who a person is at the provider that they come back from (F01). The flow is used up by a statement
 * that commits before the code is redeemed: of several calls at once, exactly one makes a token request. No
 * database connection is held meanwhile. `check` may refuse a flow before it is used up.
 *
 * Throws `TOKEN_INVALID` and `TOKEN_EXPIRED` for the login token, and the failures of `providerFailure`.
 */
export async function finishFlow(
  needs: FinishNeeds,
  caller: Caller,
  purpose: FlowPurpose,
  answer: ProviderAnswer,
  check?: (flow: Flow) => void,
): Promise<FinishedFlow> {
  const { database, keyring, clock, providers } = needs;
  const flow = openFlow(keyring, purpose, answer.loginToken, clock.now());
  const provider = providers.find(flow.provider);
  if (!provider) throw invalidLoginToken();
  check?.(flow);
  if (!isSame(flow.state, answer.state)) {
    throw invalidField('state', 'does not belong to the login token', 'TOKEN_INVALID');
  }
  const { settings } = provider;
  if (answer.error !== '') throw redirectFailure(needs.log, settings, answer.error);
  if (answer.code === '') throw invalidField('code', 'is missing');
  const expiresAt = new Date(flow.expiresAt);
  const isFirst = await database.read(caller, (em) => usedFlowsIn(em).use(flow.id, expiresAt));
  if (!isFirst) throw invalidLoginToken();
  const identity = await redeem(needs, caller.signal, { flow, provider, answer });
  if (flow.isFresh && isOlder(identity, flow)) throw notConfirmed('login_required');
  return { flow, settings, identity };
}

async function redeem(
  { log }: FinishNeeds,
  signal: AbortSignal,
  { flow, provider, answer }: { flow: Flow; provider: Provider; answer: ProviderAnswer },
): Promise<ExternalIdentity> {
  const { redirectUri, state, nonce, verifier } = flow;
  const { code, iss } = answer;
  const given = { redirectUri, code, iss, state, nonce, verifier };
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(EXCHANGE_MS)]);
  try {
    return await provider.client.redeem(given, deadline, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Failure ? error : providerFailure(log, provider.settings, error);
  }
}

/** Whether the person proved who they are before the flow began, although they were to do it again. */
function isOlder({ authTime }: ExternalIdentity, { beganAt }: Flow): boolean {
  return authTime !== undefined && authTime * 1000 < beganAt - CLOCK_TOLERANCE_MS;
}

function isSame(one: string, other: string): boolean {
  return equalInConstantTime(Buffer.from(one), Buffer.from(other));
}
