import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { TokensSchema } from '../../../gen/countersign/v1/tokens_pb.ts';
import type { FreshToken } from '../../login/reauthenticate.ts';
import type { IssuedTokens } from '../../sessions/token-issuer.ts';

/** The tokens of a sign-in or refresh as the API shows them. */
export function tokensMessage(tokens: IssuedTokens) {
  return create(TokensSchema, {
    ...accessToken(tokens),
    refreshToken: tokens.refreshToken,
    refreshExpiresAt: timestampFromDate(tokens.refreshExpiresAt),
  });
}

/** An access token without a refresh token: the caller's own stays valid. */
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
