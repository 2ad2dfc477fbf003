import type { HandlerContext } from '@connectrpc/connect';
import type { Actor } from '../../access/actor.ts';
import type { Own } from '../../sessions/principal.ts';
import { callOf } from '../call.ts';
import { requirePrincipal } from '../interceptors/access.ts';

/** Who calls, in a method that its access rule keeps for who has a valid access token. */
export function ownOf(context: HandlerContext): Own {
  const { subject, sessionId } = requirePrincipal(callOf(context.values));
  return { accountId: subject, sessionId };
}

/** Who calls, as one who changes what others may do. */
export function actorOf(context: HandlerContext): Actor {
  const { subject, permissions } = requirePrincipal(callOf(context.values));
  return { id: subject, permissions };
}
