import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { MAX_TOKEN_BYTES } from '../sessions/access-token.ts';
import { makeActor } from '../sessions/actor-claims.ts';
import { issueDerivedToken } from '../sessions/derived-token.ts';
import { MAX_ACTORS, type Principal } from '../sessions/principal.ts';
import type { AccessTokenVerifier } from '../sessions/verify-access-token.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import type { Database } from '../unit-of-work/database.ts';

const PERMISSION = 'tokens.exchange';
const TTL_MS = 5 * 60_000;

export type ExchangeToken = {
  subjectToken: string;
  audience: string;
  /** Empty: all that the subject and every actor have. */
  scopes: readonly string[];
  /** An access token of who will act; empty: whoever calls. */
  actorToken: string;
  /** The principal of the call. */
  client: Principal;
  /** What the client calls itself. */
  clientId: string;
};

export type ExchangedToken = { accessToken: string; expiresAt: Date; scopes: readonly string[] };

type Needs = {
  database: Database;
  clock: Clock;
  keys: KeySet;
  tokens: { issuer: string; audience: string };
  verifier: AccessTokenVerifier;
  exchangeAudiences: readonly string[];
};

/**
 * Exchanges an access token for one with which a service account acts for its principal (RFC 8693), never
 * for more scope, time or audiences than the token has (A09). Ask only once what this replica remembers of
 * roles and keys is recent, and `client` was verified after that: what is issued by an older memory would
 * pass where nobody asks.
 *
 * Throws `INVALID_REQUEST` for a field, `SCOPE_MISSING`, `PERMISSION_DENIED`.
 */
export async function exchangeToken(
  needs: Needs,
  caller: Caller,
  request: ExchangeToken,
): Promise<ExchangedToken> {
  const { audience, actorToken, client, clientId } = request;
  const subject = await verified(needs.verifier, 'subject_token', request.subjectToken);
  const actor =
    actorToken === '' ? client : await verified(needs.verifier, 'actor_token', actorToken);
  requireOwnAudience(needs, actor);
  requireActor(client);
  requireActor(actor);
  requireNarrower(needs, subject, audience);
  if (subject.actors.length >= MAX_ACTORS) throw tooManyActors();
  const scopes = scopesFor(subject, actor, request.scopes);
  const issuedAt = Math.floor(needs.clock.now().getTime() / 1000);
  const acting: Principal = {
    ...subject,
    expiresAt: Math.min(subject.expiresAt, actor.expiresAt),
    actors: [makeActor(actor, issuedAt), ...subject.actors],
  };
  const wanted = { audience, scopes, ttlMs: TTL_MS, clientId };
  const token = await issueDerivedToken(needs, acting, wanted);
  const { accessToken, expiresAt, tokenId } = token;
  if (accessToken.length > MAX_TOKEN_BYTES) throw tooLong();
  const { sessionId, apiKeyId } = subject;
  const details = {
    ...{ token_id: tokenId, audience, scopes },
    ...(sessionId !== '' && { session_id: sessionId }),
    ...(apiKeyId !== '' && { api_key_id: apiKeyId }),
    actors: acting.actors.map((each) => each.subject),
  };
  await needs.database.transaction(caller, async (tx) => {
    tx.audit({ type: 'token.exchanged', subject: subject.subject, details });
  });
  return { accessToken, expiresAt, scopes };
}

/** Says no more of a bad token than that it is one (A07). Throws what else is wrong as it is. */
async function verified(verifier: AccessTokenVerifier, field: string, token: string) {
  try {
    return await verifier.verify(token);
  } catch (error) {
    if (error instanceof Failure && error.kind === 'unauthenticated') {
      throw invalidField(field, 'is not an access token that is valid now');
    }
    throw error;
  }
}

/** What a service account has sent to another service must not let that one act in its name. */
function requireOwnAudience({ tokens }: Needs, { tokenId, audience }: Principal): void {
  // An API key has no audience.
  if (tokenId === '' || audience.includes(tokens.audience)) return;
  throw invalidField('actor_token', 'is for another audience than this service');
}

/** Only a service account acts for others, and itself: whoever acts for someone can't act for a third. */
function requireActor({ type, actors, permissions }: Principal): void {
  if (type === 'service_account' && actors.length === 0 && permissions.includes(PERMISSION)) return;
  const message = `only a service account that holds ${PERMISSION} can act for others`;
  throw new Failure('denied', 'PERMISSION_DENIED', message, {
    metadata: { permission: PERMISSION },
  });
}

/** The service's own audience opens all that the edge does, and so is no narrower than any other. */
function requireNarrower(
  { exchangeAudiences, tokens }: Needs,
  subject: Principal,
  audience: string,
): void {
  if (subject.audience.includes(audience)) return;
  if (audience !== tokens.audience && exchangeAudiences.includes(audience)) return;
  throw invalidField(
    'audience',
    "is neither the token's own nor in COUNTERSIGN_EXCHANGE_AUDIENCES",
  );
}

function scopesFor(
  subject: Principal,
  actor: Principal,
  wanted: readonly string[],
): readonly string[] {
  // Nobody acts at second hand, so this one would open nothing.
  const shared = subject.permissions.filter(
    (scope) => scope !== PERMISSION && actor.permissions.includes(scope),
  );
  if (wanted.length === 0) return shared;
  const missing = wanted.filter((scope) => !shared.includes(scope));
  if (missing.length === 0) return wanted;
  const message = 'the subject token or the actor lacks a scope';
  throw new Failure('denied', 'SCOPE_MISSING', message, {
    metadata: { scope: missing.join(' ') },
  });
}

function tooManyActors(): Failure {
  return invalidField(
    'subject_token',
    `has passed through ${MAX_ACTORS} services, and no more may act for its user`,
  );
}

function tooLong(): Failure {
  return invalidField('scopes', 'would make the token longer than 4 KiB; ask for fewer of them');
}
