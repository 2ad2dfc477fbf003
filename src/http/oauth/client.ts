import { Failure } from '../../platform/failure.ts';
import type { Call } from '../../rpc/call.ts';
import { authenticate, isRefusal, type Verifiers } from '../../rpc/interceptors/authentication.ts';
import type { Principal } from '../../sessions/principal.ts';
import type { Form } from './form.ts';
import { invalidRequest, OAuthError } from './oauth-error.ts';

/** Who asks an endpoint, by the credential in the header or in the form. */
export type Client = {
  principal: Principal;
  /** What it calls itself: the id of its API key, or of its service account. */
  id: string;
  /** The secret of its API key; undefined if it came with an access token. */
  secret: string | undefined;
};

type Secret = { id: string; secret: string };

/**
 * Returns the client of a request: by `client_secret_basic` or `client_secret_post` (RFC 6749, section
 * 2.3.1), or by an access token or API key as a bearer. The secret is an API key's, and the id is the key's
 * or its service account's. Undefined if the request shows no credential at all.
 *
 * Throws `invalid_client`, and `invalid_request` for two credentials at once.
 */
export async function clientOf(
  verifiers: Verifiers,
  call: Call,
  form: Form,
): Promise<Client | undefined> {
  const { credential } = call;
  const [id, secret] = [form.get('client_id'), form.get('client_secret')];
  if (credential !== undefined && secret !== undefined) {
    throw invalidRequest('the request has two credentials; send one');
  }
  if (secret !== undefined) return bySecret(verifiers, call, { id: id ?? '', secret });
  if (credential === undefined) return undefined;
  const basic = /^basic +(\S+)$/i.exec(credential)?.[1];
  if (basic !== undefined) {
    const shown = basicSecret(basic);
    // It may be repeated, but not name someone else.
    if (id !== undefined && id !== shown?.id) {
      throw invalidRequest('client_id differs from that of the authorization header');
    }
    return bySecret(verifiers, call, shown);
  }
  const principal = await principalOf(verifiers, call, credential);
  return { principal, id: principal.clientId, secret: undefined };
}

/** Throws for a request without a credential. */
export function clientMissing(): OAuthError {
  const message = 'the request needs a credential; send client_id and client_secret';
  return new OAuthError(
    'invalid_client',
    new Failure('unauthenticated', 'CREDENTIALS_MISSING', message),
  );
}

async function bySecret(verifiers: Verifiers, call: Call, shown: Secret | undefined) {
  if (!shown?.secret.startsWith('csk_')) throw unknownClient();
  const { id, secret } = shown;
  const principal = await principalOf(verifiers, call, `Bearer ${secret}`);
  const { apiKeyId, type, subject } = principal;
  const named = id.toLowerCase();
  const isAccount = type === 'service_account' && named === subject;
  if (named !== apiKeyId && !isAccount) throw unknownClient();
  return { principal, id: named, secret };
}

async function principalOf(verifiers: Verifiers, call: Call, header: string): Promise<Principal> {
  try {
    return await authenticate(verifiers, call, header);
  } catch (error) {
    if (isRefusal(error)) throw new OAuthError('invalid_client', error);
    throw error;
  }
}

/** Both parts are encoded like those of a form. */
function basicSecret(encoded: string): Secret | undefined {
  const text = Buffer.from(encoded, 'base64').toString('latin1');
  const at = text.indexOf(':');
  if (at < 0) return undefined;
  try {
    const [id, secret] = [text.slice(0, at), text.slice(at + 1)].map((part) =>
      decodeURIComponent(part.replaceAll('+', ' ')),
    );
    return { id: id ?? '', secret: secret ?? '' };
  } catch {
    return undefined;
  }
}

function unknownClient(): OAuthError {
  const failure = new Failure(
    'unauthenticated',
    'TOKEN_INVALID',
    'the client_id and client_secret do not belong to an API key',
  );
  return new OAuthError('invalid_client', failure);
}
