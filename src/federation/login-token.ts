import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';

/** What the flow is for: a sign-in, or another identity for the account that is signed in. */
export type FlowPurpose = 'sign_in' | 'link';

/** Everything about a visit to a provider, from the first call to the last. Nothing of it is stored. */
export type Flow = {
  /** A UUID, under which it is used up. */
  id: string;
  provider: string;
  redirectUri: string;
  state: string;
  nonce: string;
  verifier: string;
  /** Whether the provider was told to have the person prove again who they are. */
  isFresh: boolean;
  deviceLabel: string;
  /** Of a link: whose it is. */
  accountId: string;
  sessionId: string;
  /** Milliseconds since 1970. */
  beganAt: number;
  expiresAt: number;
};

/** Secret scanners and people recognise it by this. */
const PREFIX = 'csf_';

/**
 * Seals a flow into the token that its beginner keeps. Only who has it can finish the flow: what the
 * provider's answer carries opens nothing (F01).
 */
export function sealFlow(keyring: Keyring, purpose: FlowPurpose, flow: Flow): string {
  return PREFIX + keyring.seal(keyPurpose(purpose), JSON.stringify(flow)).toString('base64url');
}

/** Throws `TOKEN_INVALID` for what is not a login token for this purpose, and `TOKEN_EXPIRED`. */
export function openFlow(keyring: Keyring, purpose: FlowPurpose, token: string, now: Date): Flow {
  const flow = read(keyring, purpose, token);
  if (!flow) throw invalidLoginToken();
  if (flow.expiresAt <= now.getTime()) {
    throw new Failure('precondition', 'TOKEN_EXPIRED', 'the login token has expired; begin again');
  }
  return flow;
}

export function invalidLoginToken(): Failure {
  return invalidField(
    'login_token',
    'is not valid here, or has been used already; begin again',
    'TOKEN_INVALID',
  );
}

function read(keyring: Keyring, purpose: FlowPurpose, token: string): Flow | undefined {
  if (!token.startsWith(PREFIX)) return undefined;
  try {
    const sealed = Buffer.from(token.slice(PREFIX.length), 'base64url');
    return JSON.parse(keyring.open(keyPurpose(purpose), sealed).toString()) as Flow;
  } catch {
    // Altered, for another purpose, or sealed with a key that is gone.
    return undefined;
  }
}

function keyPurpose(purpose: FlowPurpose): string {
  return `federated-flow/${purpose}`;
}
