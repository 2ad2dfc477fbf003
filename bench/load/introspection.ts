import type {
  IntrospectTokenRequestSchema,
  IntrospectTokenResponseSchema,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Question } from './question.ts';

/** The question about a token. `bearer` is the caller's own access token, if it has one. */
export function introspection(
  token: string,
  bearer?: string,
): Question<typeof IntrospectTokenRequestSchema, typeof IntrospectTokenResponseSchema> {
  return {
    method: SessionService.method.introspectToken,
    request: { token },
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
    isRight: ({ active }) => active,
  };
}
