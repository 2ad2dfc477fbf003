import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import type { Interceptor } from '@connectrpc/connect';
import {
  type AccessRule,
  access as accessOption,
  RatePolicy,
} from '../../../gen/countersign/v1/access_pb.ts';
import { provesSecondFactor } from '../../login/amr.ts';
import type { ScopeUse } from '../../mesh/scope-use.ts';
import type { Clock } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { Networks } from '../../platform/networks.ts';
import { totpCredentialsIn } from '../../second-factors/totp-credential.repository.ts';
import type { Principal } from '../../sessions/principal.ts';
import type { Database } from '../../unit-of-work/database.ts';
import { type Call, callOf } from '../call.ts';
import type { RateLimits } from './rate-limits.ts';

/**
 * Enforces each method's `countersign.v1.access` option, on both listeners. A method without a rule is
 * closed (A04).
 */
export function access({
  clock,
  rateLimits,
  trustedCallers,
  database,
  scopeUse,
}: {
  clock: Clock;
  database: Database;
  rateLimits: RateLimits;
  trustedCallers: readonly string[];
  scopeUse: ScopeUse;
}): Interceptor {
  const rules = new Map<DescMethod, AccessRule | undefined>();
  const trusted = new Networks(trustedCallers);
  const ruleOf = (method: DescMethod) => {
    if (!rules.has(method)) rules.set(method, accessRule(method));
    return rules.get(method);
  };
  return (next) => (req) => {
    const call = callOf(req.contextValues);
    const rule = ruleOf(req.method);
    if (!rule) throw closed();
    const enter = () => {
      // Proxies ask by gRPC. By HTTP, the public may come through a proxy that asks for nobody.
      call.asksForOthers =
        rule.asksForOthers && 'protocolName' in req && req.protocolName === 'grpc';
      if (admit(rule, call, { trusted, clock, scopeUse }) || call.principal)
        call.hold?.know(call.principal?.subject ?? '');
      // A stream is open as long as its caller likes.
      else if (!req.stream) call.hold?.suspend();
      if (!rule.maxSignInAge || !call.principal) return next(req);
      return requireSecondFactor(database, req.signal, call.principal).then(() => next(req));
    };
    if (rule.ratePolicy === RatePolicy.UNSPECIFIED) return enter();
    const takesCredential = rule.caller.case !== 'public';
    return rateLimits.count(rule.ratePolicy, call, takesCredential).then(enter);
  };
}

/** The rule of a method, if it has one. */
export function accessRule(method: DescMethod): AccessRule | undefined {
  return hasOption(method, accessOption) ? getOption(method, accessOption) : undefined;
}

type AdmitParts = { trusted: Networks; clock: Clock; scopeUse: ScopeUse };

/** Returns whether the caller is known by its address. */
function admit(rule: AccessRule, call: Call, parts: AdmitParts): boolean {
  switch (rule.caller.case) {
    case 'public':
      if (!rule.caller.value) throw closed();
      // The method acts for the user who is signed in, and an API key is not signed in.
      if (call.principal && !isAccepted(rule, call.principal)) call.principal = undefined;
      return false;
    case 'signedIn':
      if (!rule.caller.value) throw closed();
      requireRecentSignIn(rule, requireAccepted(rule, call), parts.clock);
      return false;
    case 'permission': {
      if (rule.trustedCallerAllowed && isTrusted(call, parts.trusted)) return true;
      const principal = requireAccepted(rule, call);
      requirePermission(principal, parts.scopeUse, rule.caller.value, rule.orPermission);
      requireRecentSignIn(rule, principal, parts.clock);
      return false;
    }
    default:
      throw closed();
  }
}

/** Nobody who presents a credential is trusted for their address: a bad credential stays bad. */
export function isTrusted(call: Call, trusted: Networks): boolean {
  if (call.principal || call.refusal) return false;
  // A proxy's own calls may carry the forwarding headers that it adds to every request.
  if (call.asksForOthers) return trusted.includes(call.peerAddress);
  return call.addressIsCertain && trusted.includes(call.ipAddress);
}

/** Returns the principal of a call, or throws the failure that says why there is none. */
export function requirePrincipal(call: Call): Principal {
  if (call.principal) return call.principal;
  throw (
    call.refusal ??
    new Failure(
      'unauthenticated',
      'CREDENTIALS_MISSING',
      'the call needs an access token or an API key',
    )
  );
}

/**
 * Throws if the principal of a call that was admitted may no longer make it. How long ago the sign-in
 * was no longer matters: it was recent when the call began.
 */
export function requireStill(method: DescMethod, call: Call, scopeUse: ScopeUse): void {
  const rule = accessRule(method);
  if (!rule) throw closed();
  if (rule.caller.case === 'public') return;
  const principal = requireAccepted(rule, call);
  if (rule.caller.case !== 'permission') return;
  requirePermission(principal, scopeUse, rule.caller.value, rule.orPermission);
}

/** The same, for a credential of a kind that the method accepts. */
function requireAccepted(rule: AccessRule, call: Call): Principal {
  const principal = requirePrincipal(call);
  if (isAccepted(rule, principal)) return principal;
  const message =
    principal.actors.length > 0
      ? 'this method accepts nobody who acts for someone else; sign in'
      : 'this method does not accept an API key; sign in';
  throw new Failure('denied', 'PERMISSION_DENIED', message);
}

/**
 * Who acts for someone else can do no more than what it would need a permission for itself (A09). What
 * signed-in people may do about themselves needs none.
 */
function isAccepted(rule: AccessRule, { sessionId, actors }: Principal): boolean {
  if (actors.length > 0) return rule.apiKeyAllowed && rule.caller.case === 'permission';
  return rule.apiKeyAllowed || sessionId !== '';
}

/** Throws unless the principal holds one of two permissions; `or` may be empty. */
export function requirePermission(
  principal: Principal,
  scopeUse: ScopeUse,
  permission: string,
  or: string,
): void {
  const { permissions } = principal;
  const isOther = or !== '' && !permissions.includes(permission) && permissions.includes(or);
  const used = isOther ? or : permission;
  if (principal.apiKeyId !== '') scopeUse.noteRequired(principal, [used]);
  if (permissions.includes(used)) return;
  throw new Failure('denied', 'PERMISSION_DENIED', `the permission ${permission} is needed`, {
    metadata: { permission },
  });
}

function requireRecentSignIn(rule: AccessRule, principal: Principal, clock: Clock): void {
  if (!rule.maxSignInAge) return;
  const ageSeconds = clock.now().getTime() / 1000 - principal.authTime;
  if (ageSeconds <= Number(rule.maxSignInAge.seconds)) return;
  throw new Failure(
    'unauthenticated',
    'REAUTHENTICATION_REQUIRED',
    'this method needs a recent sign-in; sign in again',
  );
}

/**
 * Throws if a recent sign-in was by password alone although the account had a second factor by then:
 * someone who has a session and the password must not be able to turn that factor off.
 */
async function requireSecondFactor(
  database: Database,
  signal: AbortSignal,
  { subject, amr, authTime }: Principal,
): Promise<void> {
  if (provesSecondFactor(amr)) return;
  const app = await database.read({ signal }, (em) => totpCredentialsIn(em).findConfirmed(subject));
  if (!app?.confirmedAt || app.confirmedAt.getTime() >= authTime * 1000) return;
  throw new Failure(
    'unauthenticated',
    'REAUTHENTICATION_REQUIRED',
    'this method needs a recent second factor; reauthenticate with a code or a passkey',
  );
}

function closed(): Failure {
  return new Failure('denied', 'PERMISSION_DENIED', 'this method is closed');
}
