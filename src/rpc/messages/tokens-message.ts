import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { TokensSchema } from '../../../gen/countersign/v1/tokens_pb.ts';
import type { FreshToken } from '../../login/reauthenticate.ts';
import type { IssuedTokens } from '../../sessions/open-session.ts';

/** The tokens of a sign-in or refresh as callers get them. */
export function tokensMessage(tokens: IssuedTokens) {
  return create(TokensSchema, {
    ...accessToken(tokens),
    refreshToken: tokens.refreshToken,
    refreshExpiresAt: timestampFromDate(tokens.refreshExpiresAt),
  });
}

/** An access token that comes alone: the caller's refresh token stays as it is. */
export function freshTokenMessage(token: FreshToken) {
  return create(TokensSchema, accessToken(token));
}

function accessToken(token: FreshToken): MessageInitShape<typeof TokensSchema> {
  return {
    accessToken: token.accessToken,
    tokenType: 'Bearer',
    expiresAt: timestampFromDate(token.expiresAt),
    sessionId: token.sessionId,
  };
}
