import type { ExternalIdentity } from './external-identity.ts';

/** What a person is sent to a provider with. */
export type AuthorizationRequest = {
  redirectUri: string;
  state: string;
  nonce: string;
  /** Of the PKCE verifier, by S256. */
  challenge: string;
  /** Whether the provider must have the person prove again who they are. */
  isFresh: boolean;
};

/** What they come back with, and what was remembered meanwhile. */
export type Answer = {
  redirectUri: string;
  code: string;
  /** Empty if the provider does not name itself. */
  iss: string;
  state: string;
  nonce: string;
  verifier: string;
};

/** How the service talks to an identity provider. */
export interface ProviderClient {
  /** Where to send a person to sign in. */
  authorizationUrl(request: AuthorizationRequest, signal: AbortSignal): Promise<URL>;
  /**
   * Redeems a code, once, and returns who the person is. Everything has to be over when `deadline` fires;
   * `caller` is whom it is done for.
   */
  redeem(answer: Answer, deadline: AbortSignal, caller: AbortSignal): Promise<ExternalIdentity>;
}
