import type { Log } from '../platform/log.ts';
import type { Principal } from '../sessions/principal.ts';
import { areTooMany } from './identity.ts';
import {
  type AskedRequest,
  type Decision,
  type Denial,
  denial,
  judgeRequest,
} from './judge-request.ts';
import { type Presented, presentedBy } from './presented.ts';
import type { Rule, Rules, Setting } from './rule.ts';
import type { ScopeUse } from './scope-use.ts';
import type { ShadowDenials } from './shadow-denials.ts';

/** A request as it arrives: what the client sent, and how its route is configured. */
export type ClientRequest = Omit<AskedRequest, 'presented' | 'rule'> & {
  /** All values of the header. */
  authorization: readonly string[];
  /** All values of `x-api-key`. */
  apiKeys: readonly string[];
  /** The names of headers that read like ours. */
  forged: readonly string[];
  /** An error if they can't be read. */
  settings: readonly Setting[] | Error;
};

/** What becomes of a request: it may pass, in shadow mode perhaps for nobody, or it is refused. */
export type Outcome = { allowed: true; principal: Principal | undefined; token: string } | Denial;

type Needs = Parameters<typeof judgeRequest>[0] & {
  log: Log;
  rules: Rules;
  scopeUse: ScopeUse;
  shadowDenials: ShadowDenials;
  /** Whether everything that would be refused is let through. */
  meshShadow: boolean;
};

/**
 * Decides whether a client's request may pass (M01 to M03). It depends on the credential, the route's
 * rule and the client's address, and never on method, host or path, so that proxies and services may
 * read those differently. Throws only what is a failure of ours.
 */
export function decideRequest(needs: Needs, request: ClientRequest): Outcome | Promise<Outcome> {
  const { settings } = request;
  // In shadow mode too: what could not be removed would pass for ours.
  if (areTooMany(request.forged)) return unremovable(needs, request);
  const rule = settings instanceof Error ? settings : needs.rules.read(settings);
  if (rule instanceof Error) return unreadableRule(needs, request, rule);
  const presented = presentedBy(request.authorization, request.apiKeys);
  const decision = judgeRequest(needs, asked(request, presented, rule));
  return decision instanceof Promise
    ? decision.then((judged) => settled(needs, request, rule, judged))
    : settled(needs, request, rule, decision);
}

function asked(request: ClientRequest, presented: Presented, rule: Rule): AskedRequest {
  const { ipAddress, addressIsCertain, countedAs, requestId } = request;
  return { presented, rule, ipAddress, addressIsCertain, countedAs, requestId };
}

function settled(needs: Needs, request: ClientRequest, rule: Rule, decision: Decision): Outcome {
  const { principal } = decision;
  if (principal && (decision.allowed || NEEDING.has(decision.reason))) {
    needs.scopeUse.noteRequired(principal, rule.requiredScopes);
    needs.scopeUse.noteRequired(principal, rule.requiredPermissions);
  }
  if (decision.allowed) return decision;
  return refused(needs, request, decision, rule.name, rule.isShadow);
}

function unremovable({ log }: Needs, { requestId }: ClientRequest): Outcome {
  log.info({ component: 'mesh', request_id: requestId }, 'too many forged headers');
  return denial('REQUEST_UNREADABLE');
}

function unreadableRule(needs: Needs, request: ClientRequest, why: Error): Outcome {
  const { log } = needs;
  log.warn(
    { component: 'mesh', request_id: request.requestId, reason: why.message },
    'unreadable rule',
  );
  return refused(needs, request, denial('RULE_UNREADABLE'), '', false);
}

function refused(
  { log, meshShadow, shadowDenials }: Needs,
  { requestId }: ClientRequest,
  refusal: Denial,
  rule: string,
  isShadow: boolean,
): Outcome {
  const { reason, principal } = refusal;
  const passes = isShadow || meshShadow;
  log.info(
    {
      component: 'mesh',
      request_id: requestId,
      rule,
      reason,
      principal: principal?.subject,
      api_key_id: principal?.apiKeyId || undefined,
    },
    passes ? 'request would be refused' : 'request refused',
  );
  if (!passes) return refusal;
  shadowDenials.note({ rule, reason, principal });
  return { allowed: true, principal: NAMED.has(reason) ? principal : undefined, token: '' };
}

/** Refusals that say what a credential lacks, and so what the request needed. */
const NEEDING: ReadonlySet<string> = new Set(['SCOPE_MISSING', 'PERMISSION_MISSING']);

/** Refusals of a credential that is valid here: in shadow mode, the request passes under its name. */
const NAMED: ReadonlySet<string> = new Set(['SCOPE_MISSING', 'PERMISSION_MISSING', 'RATE_LIMITED']);
