import { isSeconds, isText, isTextList, isUuid } from './claim-values.ts';
import { type Actor, MAX_ACTORS, type Principal } from './principal.ts';

type Act = Readonly<Record<string, unknown>>;

const NOBODY: readonly Actor[] = [];

/**
 * The `act` claim of a token (RFC 8693, section 4.1): the latest actor, with the ones before it inside.
 * Each has what it takes to know whether it still may do what it did. `actorsOf` reads it.
 */
export function actOf([actor, ...before]: readonly Actor[]): Act | undefined {
  if (!actor) return undefined;
  const { subject, type, apiKeyId, tokenId, tokenVersion, ownerRoles } = actor;
  return {
    sub: subject,
    sub_type: type,
    ...(apiKeyId !== '' && { api_key_id: apiKeyId }),
    ...(tokenId !== '' && { jti: tokenId }),
    token_version: tokenVersion,
    owner_roles: ownerRoles,
    ...(before.length > 0 && { act: actOf(before) }),
  };
}

/** The actors of a token that was issued then, the latest first; undefined if the claim is malformed. */
export function actorsOf(act: unknown, issuedAt: unknown): readonly Actor[] | undefined {
  if (act === undefined) return NOBODY;
  const actors: Actor[] = [];
  for (let next: unknown = act; next !== undefined; ) {
    const actor = actors.length < MAX_ACTORS ? actorOf(next, issuedAt) : undefined;
    if (!actor) return undefined;
    actors.push(actor);
    next = (next as Act)['act'];
  }
  return Object.freeze(actors);
}

function actorOf(act: unknown, issuedAt: unknown): Actor | undefined {
  if (typeof act !== 'object' || act === null || Array.isArray(act)) return undefined;
  const { sub, sub_type: type, api_key_id: apiKeyId = '', jti = '' } = act as Act;
  const { token_version: tokenVersion, owner_roles: ownerRoles } = act as Act;
  if (!isUuid(sub) || (type !== 'user' && type !== 'service_account')) return undefined;
  if (apiKeyId !== '' && !isUuid(apiKeyId)) return undefined;
  if (jti !== '' && !isText(jti)) return undefined;
  if (!isTextList(ownerRoles) || !isSeconds(issuedAt)) return undefined;
  if (tokenVersion !== undefined && !isSeconds(tokenVersion)) return undefined;
  return makeActor(
    { type, subject: sub, apiKeyId, tokenId: jti, tokenVersion, ownerRoles },
    issuedAt,
  );
}

/** The actor that the principal of a credential becomes in a token that is issued now. */
export function makeActor(
  from: Pick<
    Principal,
    'type' | 'subject' | 'apiKeyId' | 'tokenId' | 'tokenVersion' | 'ownerRoles'
  >,
  issuedAt: number,
): Actor {
  const { type, subject, apiKeyId, tokenId, tokenVersion, ownerRoles } = from;
  const own = { type, subject, apiKeyId, tokenId, tokenVersion, ownerRoles, issuedAt };
  return Object.freeze({ ...own, sessionId: '', keyId: '', actors: [] as const });
}
