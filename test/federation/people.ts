import type { Client } from '@connectrpc/connect';
import type { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { readConfig } from '../../src/config.ts';
import { newEmail } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { type Callback, type Peer, REDIRECT } from './peer.ts';

/** A service that knows these providers. */
export function startFederatedService(
  providers: readonly Record<string, unknown>[],
  env: Record<string, string> = {},
): Promise<Service> {
  const json = JSON.stringify(providers);
  return startService({ env: { COUNTERSIGN_OIDC_PROVIDERS: json, ...env } });
}

/** Has a service know these providers from now on. */
export function addProviders(service: Service, providers: readonly Record<string, unknown>[]) {
  const env = { ...service.env, COUNTERSIGN_OIDC_PROVIDERS: JSON.stringify(providers) };
  service.app.reload(readConfig(env, () => ''));
}

/** Somebody with an address that the provider has verified, and no account. */
export function newcomer(peer: Peer, more: Record<string, unknown> = {}) {
  const email = newEmail();
  const sub = peer.person({ email, email_verified: true, name: 'Robin', ...more });
  return { email, sub };
}

/** Goes to the provider and comes back, ready to finish. */
export async function visited(service: Service, peer: Peer, sub: string, provider = 'peer') {
  const begun = await service.auth.startFederatedLogin({
    provider,
    redirectUri: REDIRECT,
    deviceLabel: 'test',
  });
  const callback = await peer.visit(begun.authorizationUrl, sub);
  return { loginToken: begun.loginToken, ...callback } satisfies Callback & { loginToken: string };
}

/** Goes to the provider to link an identity, and comes back, ready to finish. */
export async function linkVisit(account: Client<typeof AccountService>, peer: Peer, sub: string) {
  const begun = await account.startIdentityLink({ provider: 'peer', redirectUri: REDIRECT });
  return { loginToken: begun.loginToken, ...(await peer.visit(begun.authorizationUrl, sub)) };
}

/** Signs in with a provider. Returns the outcome. */
export async function federatedLogin(service: Service, peer: Peer, sub: string, provider = 'peer') {
  const answer = await visited(service, peer, sub, provider);
  return (await service.auth.finishFederatedLogin(answer)).outcome;
}

/** The same, for someone who needs no second factor. */
export async function federatedTokens(service: Service, peer: Peer, sub: string): Promise<Tokens> {
  const outcome = await federatedLogin(service, peer, sub);
  if (outcome.case !== 'tokens') throw new Error('no tokens');
  return outcome.value;
}
