import type { ServiceImpl } from '@connectrpc/connect';
import type {
  Authorization,
  CheckRequest,
} from '../../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { decideRequest } from '../../mesh/decide-request.ts';
import { denial } from '../../mesh/judge-request.ts';
import { PassingAnswers } from '../../mesh/passage.ts';
import { Networks } from '../../platform/networks.ts';
import { callOf } from '../call.ts';
import {
  type CallerAddress,
  directAddress,
  forwardedAddress,
  plainAddress,
} from '../caller-address.ts';
import { allowedMessage, deniedMessage } from '../messages/check-messages.ts';
import { type ClientHeaders, clientHeaders } from '../messages/client-headers.ts';
import type { Dependencies } from './dependencies.ts';
import type { UnaryTerms } from './service.ts';

/** Large enough for all headers that proxies accept by default, and some of the body. */
const MAX_CHECK_BYTES = 4 * 1024 * 1024;
const UNREADABLE = deniedMessage(denial('REQUEST_UNREADABLE'), false);

/**
 * To a proxy, an error means that Countersign can't decide, and some let requests in then. A client must
 * not be able to cause one by what it sends (M02).
 */
export const AUTHORIZATION_TERMS: Readonly<Record<string, UnaryTerms>> = {
  check: {
    maxMessageBytes: MAX_CHECK_BYTES,
    answerToUnreadable: UNREADABLE,
  },
};

/** Judges requests for proxies that speak Envoy's external authorization. */
export function authorizationService(deps: Dependencies): ServiceImpl<typeof Authorization> {
  const proxies = new Networks(deps.trustedProxies);
  const answers = new PassingAnswers(deps.caches.answers, allowedMessage);
  return {
    async check(request, context) {
      const { http } = request.attributes?.request ?? {};
      if (!http) return UNREADABLE;
      const headers = clientHeaders(http);
      const outcome = await decideRequest(deps, {
        ...addressOf(request, headers, proxies),
        authorization: headers.authorization,
        apiKeys: headers.apiKeys,
        forged: headers.forged,
        settings: settingsOf(request),
        requestId: callOf(context.values).requestId,
      });
      return outcome.allowed
        ? answers.answer(outcome, headers.forged)
        : deniedMessage(outcome, headers.isGrpc);
    },
  };
}

function settingsOf({ attributes }: CheckRequest): [string, string][] {
  return Object.entries(attributes?.contextExtensions ?? {});
}

/**
 * The client's address: the one that the proxy is connected to, unless that is another proxy of ours. Then
 * it is what that one says.
 */
function addressOf(
  { attributes }: CheckRequest,
  { forwardedFor }: ClientHeaders,
  proxies: Networks,
): CallerAddress {
  const { address } = attributes?.source?.address ?? {};
  const socket = address?.case === 'socketAddress' ? address.value.address : '';
  const connection = plainAddress(socket);
  if (forwardedFor === undefined || !proxies.includes(connection)) {
    return directAddress(connection, false);
  }
  const headers = { xForwardedFor: forwardedFor, forwarded: undefined };
  return forwardedAddress(headers, connection, proxies);
}
