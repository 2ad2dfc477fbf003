import type { Verdict } from './api-keys.ts';
import { VerifierError } from './errors.ts';
import type { Presented } from './streams.ts';

/** All values that a request has under a header's name, in lower case. */
export type ReadHeader = (name: string) => readonly string[];

/** The principal of a request's credential, or why the credential was refused. */
export type Identified = {
  readonly credential?: string;
  readonly verdict?: Verdict;
  readonly refusal?: VerifierError;
};

type Identifier = {
  identify(credential: string, presented: Presented): Verdict | Promise<Verdict>;
};

/** Who makes a request; throws only if that can't be found out. */
export function identify(
  verifier: Identifier,
  read: ReadHeader,
  presented: Presented,
): Identified | Promise<Identified> {
  try {
    const credential = credentialIn(read);
    if (credential === undefined) return {};
    const verdict = verifier.identify(credential, presented);
    if (!('then' in verdict)) return { credential, verdict };
    return verdict.then((settled) => ({ credential, verdict: settled }), refused);
  } catch (error) {
    return refused(error);
  }
}

function refused(error: unknown): Identified {
  if (error instanceof VerifierError && error.isRefusal) return { refusal: error };
  throw error;
}

/**
 * The access token or API key of a request, from `authorization` or else from `x-api-key`; undefined if it
 * has neither. Throws TOKEN_INVALID for anything else: a bad credential is never made up for by another.
 */
function credentialIn(read: ReadHeader): string | undefined {
  const authorization = read('authorization');
  if (authorization.length > 0) return fromAuthorization(single(authorization));
  const apiKey = read('x-api-key');
  if (apiKey.length === 0) return undefined;
  const key = single(apiKey).trim();
  if (!key.startsWith('csk_')) throw unreadable();
  return key;
}

/** RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). */
function fromAuthorization(header: string): string {
  const [prefix = '', scheme = ''] = /^(bearer|apikey) +/i.exec(header) ?? [];
  // Whether it has the form of one is asked where it is not known yet.
  const credential = prefix && header.slice(prefix.length);
  const isKey = credential.startsWith('csk_');
  if (credential === '' || (scheme.toLowerCase() === 'apikey' && !isKey)) throw unreadable();
  return credential;
}

/** Of several, a proxy may have read another one. */
function single(values: readonly string[]): string {
  const [value] = values;
  if (value === undefined || values.length > 1) throw unreadable();
  return value;
}

function unreadable(): VerifierError {
  return new VerifierError(
    'TOKEN_INVALID',
    'the credential is neither a bearer token nor an API key',
  );
}
