import type { Denial, DenialReason } from './judge-request.ts';

/** What a client is told whose request is refused. Everything is ASCII. */
export type DenialAnswer = {
  status: 401 | 403 | 429;
  headers: Readonly<Record<string, string>>;
  body: string;
};

type Text = Pick<DenialAnswer, 'status' | 'body'> & {
  /** RFC 6750, section 3.1. */
  error?: 'invalid_token' | 'insufficient_scope';
};

/** Whatever is wrong with a credential, it is answered alike (A07); the log says what it was. */
const INVALID: Text = {
  status: 401,
  error: 'invalid_token',
  body: 'the credential is not valid; sign in again, or send a valid API key',
};

const INSUFFICIENT: Text = {
  status: 403,
  error: 'insufficient_scope',
  body: 'the credential lacks a scope that this request needs',
};

const TEXTS: Readonly<Record<DenialReason, Text>> = {
  CREDENTIALS_MISSING: {
    status: 401,
    body: 'the request needs a credential; send an access token or an API key',
  },
  CREDENTIALS_UNREADABLE: {
    status: 401,
    error: 'invalid_token',
    body: 'the credential cannot be read; send one, as `authorization: Bearer` or `x-api-key`',
  },
  CREDENTIAL_INVALID: INVALID,
  AUDIENCE_MISSING: INVALID,
  ADDRESS_NOT_ALLOWED: INVALID,
  SCOPE_MISSING: INSUFFICIENT,
  PERMISSION_MISSING: INSUFFICIENT,
  RATE_LIMITED: { status: 429, body: 'too many requests; wait and try again' },
  RULE_UNREADABLE: { status: 403, body: 'this route is closed; its rule cannot be read' },
  REQUEST_UNREADABLE: { status: 403, body: 'the request cannot be judged; send a smaller one' },
  TOKEN_TOO_LONG: { status: 403, body: 'the credential has too many scopes to be passed on' },
};

/** The answer for a refused request. */
export function denialAnswer({ reason, missing, retryAfterMs }: Denial): DenialAnswer {
  const { status, body, error } = TEXTS[reason];
  const headers: Record<string, string> = { 'content-type': 'text/plain; charset=us-ascii' };
  if (status === 429) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  else headers['www-authenticate'] = challenge(error, missing);
  return { status, headers, body };
}

function challenge(error: Text['error'], missing: readonly string[]): string {
  if (!error) return 'Bearer';
  // RFC 6749, section 3.3: what a scope is made of.
  const scope = missing.filter((name) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name)).join(' ');
  return `Bearer error="${error}"${scope === '' ? '' : `, scope="${scope}"`}`;
}
