import { keyFailure } from '../../api-keys/key-failure.ts';
import type { ApiKeyVerifier } from '../../api-keys/verify-api-key.ts';
import type { ScopeUse } from '../../mesh/scope-use.ts';
import type { CacheSizes } from '../../platform/cache-sizes.ts';
import type { Clock } from '../../platform/clock.ts';
import { lruCache } from '../../platform/lru-cache.ts';
import { Networks } from '../../platform/networks.ts';
import type { Call } from '../../rpc/call.ts';
import { isTrusted, requirePermission } from '../../rpc/interceptors/access.ts';
import type { Verifiers } from '../../rpc/interceptors/authentication.ts';
import { introspectToken } from '../../sessions/introspect-token.ts';
import type { Principal } from '../../sessions/principal.ts';
import { signJws } from '../../sessions/sign-jws.ts';
import type { KeySet } from '../../signing-keys/key-set.ts';
import { clientMissing, clientOf } from './client.ts';
import { type Form, required } from './form.ts';
import { activeAnswer, INACTIVE, type IntrospectionAnswer } from './introspection-answer.ts';
import type { Answer, Asked, OAuthEndpoint } from './oauth-door.ts';

const PERMISSION = 'tokens.introspect';
/** RFC 9701, section 5. */
const SIGNED_TYPE = 'token-introspection+jwt';

type Parts = {
  verifiers: Verifiers;
  scopeUse: ScopeUse;
  trustedCallers: readonly string[];
  caches: Pick<CacheSizes, 'answers'>;
  clock: Clock;
  keys: Pick<KeySet, 'signingKey'>;
  tokens: { issuer: string };
};

/**
 * `POST /oauth2/introspect` (RFC 7662), for callers who may call IntrospectToken: is an access token or an
 * API key valid now, and whose is it? `accept: application/token-introspection+jwt` asks for an answer
 * that is signed for the caller (RFC 9701).
 */
export function introspectEndpoint(parts: Parts): OAuthEndpoint {
  const trusted = new Networks(parts.trustedCallers);
  const answers = lruCache<Principal, string>(parts.caches.answers);
  const { issuer } = parts.tokens;
  return (asked) => {
    const admitted = admit(parts, trusted, asked);
    const answer = (clientId: string | undefined) => {
      const found = find(parts, asked.call, asked.form);
      const told = (principal: Principal | undefined): Answer | Promise<Answer> => {
        if (wantsSigned(asked.accept)) return signed(parts, clientId, principal);
        if (!principal) return { body: JSON.stringify(INACTIVE) };
        const body = answers.get(principal) ?? JSON.stringify(activeAnswer(issuer, principal));
        answers.set(principal, body);
        return { body };
      };
      return found instanceof Promise ? found.then(told) : told(found);
    };
    return admitted instanceof Promise ? admitted.then(answer) : answer(admitted);
  };
}

/** Returns what the caller calls itself; undefined if it is known by its address. Throws if it may not ask. */
function admit(
  { verifiers, scopeUse }: Parts,
  trusted: Networks,
  { call, form }: Asked,
): string | undefined | Promise<string> {
  if (call.credential === undefined && !form.has('client_secret')) {
    if (!isTrusted(call, trusted)) throw clientMissing();
    call.hold?.know('');
    return undefined;
  }
  return clientOf(verifiers, call, form).then((client) => {
    if (!client) throw clientMissing();
    call.principal = client.principal;
    requirePermission(client.principal, scopeUse, PERMISSION, '');
    call.hold?.know(client.principal.subject);
    return client.id;
  });
}

/** The principal of the token in question, if it is valid. Throws if that can't be found out. */
function find(
  { verifiers }: Parts,
  call: Call,
  form: Form,
): Principal | undefined | Promise<Principal | undefined> {
  const token = required(form, 'token');
  if (token.startsWith('csk_')) return findKey(verifiers.apiKeyVerifier, call, token);
  const query = { token, requiredScopes: [], requiredPermissions: [], audience: '' };
  const found = introspectToken(verifiers.verifier, query);
  const principal = (told: Awaited<typeof found>) => (told.active ? told.principal : undefined);
  return found instanceof Promise ? found.then(principal) : principal(found);
}

/** Where its client is is not known here, so a key that is bound to networks is not valid. */
async function findKey(verifier: ApiKeyVerifier, { requestId }: Call, secret: string) {
  const from = { ipAddress: '', addressIsCertain: false, requestId };
  const verdict = await verifier.verify({ secret, requiredScopes: [], cost: 1, ...from });
  if (verdict.valid) return verdict.principal;
  // A limit that is used up says nothing about the key (A03).
  if (verdict.reason === 'RATE_LIMITED') throw keyFailure(verdict);
  return undefined;
}

function wantsSigned(accept: string): boolean {
  return accept.toLowerCase().includes(`application/${SIGNED_TYPE}`);
}

/** An answer that only the one who asked can use: it says for whom it is. */
async function signed(
  { clock, keys, tokens: { issuer } }: Parts,
  clientId: string | undefined,
  principal: Principal | undefined,
): Promise<Answer> {
  if (clientId === undefined) throw clientMissing();
  const told: IntrospectionAnswer = principal ? activeAnswer(issuer, principal) : INACTIVE;
  const { id, algorithm, key } = await keys.signingKey();
  const header = { typ: SIGNED_TYPE, alg: algorithm, kid: id };
  const iat = Math.floor(clock.now().getTime() / 1000);
  const claims = { iss: issuer, aud: clientId, iat, token_introspection: told };
  return { type: `application/${SIGNED_TYPE}`, body: await signJws(header, claims, key) };
}
