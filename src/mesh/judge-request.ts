import type { ApiKeyVerifier } from '../api-keys/verify-api-key.ts';
import { Failure } from '../platform/failure.ts';
import type { Principal } from '../sessions/principal.ts';
import type { AccessTokenVerifier } from '../sessions/verify-access-token.ts';
import type { InternalTokens } from './internal-tokens.ts';
import type { Presented } from './presented.ts';
import type { Rule } from './rule.ts';

/** A client's request, as its proxy tells of it. */
export type AskedRequest = {
  presented: Presented;
  rule: Rule;
  /** The client's address; empty if it is not known. */
  ipAddress: string;
  /** Whether the address can't be forged. */
  addressIsCertain: boolean;
  /** What limits count unknown keys under. */
  countedAs: string;
  requestId: string;
};

/** Why a request is refused. The client is told no more than its status. */
export type DenialReason =
  | 'CREDENTIALS_MISSING'
  | 'CREDENTIALS_UNREADABLE'
  | 'CREDENTIAL_INVALID'
  | 'AUDIENCE_MISSING'
  | 'ADDRESS_NOT_ALLOWED'
  | 'SCOPE_MISSING'
  | 'PERMISSION_MISSING'
  | 'RATE_LIMITED'
  | 'RULE_UNREADABLE'
  | 'REQUEST_UNREADABLE'
  | 'TOKEN_TOO_LONG';

export type Denial = {
  allowed: false;
  reason: DenialReason;
  /** Whose credential it was, if it is a valid one. */
  principal: Principal | undefined;
  /** The scopes and permissions that are missing. */
  missing: readonly string[];
  /** When a used-up limit begins again (ms); 0 for other reasons. */
  retryAfterMs: number;
};

export type Decision =
  /** `token` is what the credential is exchanged for; empty without an exchange. */
  { allowed: true; principal: Principal; token: string } | Denial;

const NOTHING: readonly string[] = [];

export function denial(reason: DenialReason, more: Partial<Denial> = {}): Denial {
  return {
    allowed: false,
    reason,
    principal: undefined,
    missing: NOTHING,
    retryAfterMs: 0,
    ...more,
  };
}

type Needs = {
  verifier: AccessTokenVerifier;
  apiKeyVerifier: ApiKeyVerifier;
  internalTokens: InternalTokens;
};

/**
 * Judges a client's request: its credential, the revocations of this moment, the rule of its route, its
 * limit. Whatever the client can cause is a decision; what is thrown is a failure of ours (M02).
 */
export function judgeRequest(needs: Needs, asked: AskedRequest): Decision | Promise<Decision> {
  const { presented } = asked;
  switch (presented.kind) {
    case 'none':
      return denial('CREDENTIALS_MISSING');
    case 'unreadable':
      return denial('CREDENTIALS_UNREADABLE');
    case 'token':
      return judgeToken(needs, asked, presented.secret);
    case 'api_key':
      return judgeKey(needs, asked, presented.secret);
  }
}

function judgeToken(
  needs: Needs,
  asked: AskedRequest,
  token: string,
): Decision | Promise<Decision> {
  try {
    const verified = needs.verifier.verify(token);
    return verified instanceof Promise
      ? verified.then((principal) => judgePrincipal(needs, asked.rule, principal), refused)
      : judgePrincipal(needs, asked.rule, verified);
  } catch (error) {
    return refused(error);
  }
}

function judgePrincipal(
  needs: Needs,
  rule: Rule,
  principal: Principal,
): Decision | Promise<Decision> {
  if (!rule.audiences.every((audience) => principal.audience.includes(audience))) {
    return denial('AUDIENCE_MISSING', { principal });
  }
  const held = principal.permissions;
  if (!rule.requiredScopes.every((scope) => held.includes(scope))) {
    const missing = rule.requiredScopes.filter((scope) => !held.includes(scope));
    return denial('SCOPE_MISSING', { principal, missing });
  }
  if (!rule.requiredPermissions.every((name) => held.includes(name))) {
    const missing = rule.requiredPermissions.filter((name) => !held.includes(name));
    return denial('PERMISSION_MISSING', { principal, missing });
  }
  return allowed(needs, rule, principal);
}

/** To an API key, a scope and a permission are the same, and an audience means nothing. */
async function judgeKey(needs: Needs, asked: AskedRequest, secret: string): Promise<Decision> {
  const { ipAddress, addressIsCertain, countedAs, requestId, rule } = asked;
  const requiredScopes = [...rule.requiredScopes, ...rule.requiredPermissions];
  const from = { ipAddress, addressIsCertain, countedAs, requestId };
  const query = { secret, requiredScopes, cost: 1, ...from };
  let verdict: Awaited<ReturnType<ApiKeyVerifier['verify']>>;
  try {
    verdict = await needs.apiKeyVerifier.verify(query);
  } catch (error) {
    return refused(error);
  }
  const { principal } = verdict;
  if (verdict.valid) return allowed(needs, rule, verdict.principal);
  switch (verdict.reason) {
    case 'ADDRESS_NOT_ALLOWED':
      return denial('ADDRESS_NOT_ALLOWED', { principal });
    case 'RATE_LIMITED':
      return denial('RATE_LIMITED', { principal, retryAfterMs: verdict.limit?.resetsInMs ?? 0 });
    case 'SCOPE_MISSING': {
      const missing = requiredScopes.filter((scope) => !principal?.scopes.includes(scope));
      return denial('SCOPE_MISSING', { principal, missing });
    }
    default:
      return denial('CREDENTIAL_INVALID', { principal });
  }
}

function allowed(needs: Needs, rule: Rule, principal: Principal): Decision | Promise<Decision> {
  if (rule.exchange === '') return { allowed: true, principal, token: '' };
  const token = needs.internalTokens.tokenFor(principal, rule.exchange);
  const decide = (text: string): Decision =>
    text === ''
      ? denial('TOKEN_TOO_LONG', { principal })
      : { allowed: true, principal, token: text };
  return typeof token === 'string' ? decide(token) : token.then(decide);
}

/** A bad credential, or one caller's too many: anything else is a failure of ours. */
function refused(error: unknown): Denial {
  if (error instanceof Failure) {
    if (error.kind === 'unauthenticated') return denial('CREDENTIAL_INVALID');
    if (error.reason === 'RATE_LIMITED') {
      return denial('RATE_LIMITED', { retryAfterMs: error.details.retryAfterMs ?? 0 });
    }
  }
  throw error;
}
