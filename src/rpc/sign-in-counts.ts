import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { Counts } from '../platform/counts.ts';
import { Failure } from '../platform/failure.ts';

export const SIGN_IN_LABELS = ['method', 'outcome', 'reason'] as const;
export const REFRESH_LABELS = ['outcome', 'reason'] as const;

/** What attempts to sign in and to stay signed in have come to. */
export class SignInCounts {
  readonly signIns = new Counts(...SIGN_IN_LABELS);
  readonly refreshes = new Counts(...REFRESH_LABELS);

  /** The methods of AuthService, those of them counted that open a session or continue one. */
  counting(methods: ServiceImpl<typeof AuthService>): ServiceImpl<typeof AuthService> {
    const { login, completeMfa, finishPasskeyLogin, finishFederatedLogin } = methods;
    const signIn = (method: string) => (outcome: string, reason: string) =>
      this.signIns.add(method, outcome, reason);
    return {
      ...methods,
      login: counted(login, signIn('password')),
      completeMfa: counted(completeMfa, signIn('second_factor')),
      finishPasskeyLogin: counted(finishPasskeyLogin, signIn('passkey')),
      finishFederatedLogin: counted(finishFederatedLogin, signIn('provider')),
      refreshToken: counted(methods.refreshToken, (...values) => this.refreshes.add(...values)),
    };
  }
}

function counted<Request, Answer extends object>(
  method: (request: Request, context: HandlerContext) => Answer | Promise<Answer>,
  note: (outcome: string, reason: string) => void,
): (request: Request, context: HandlerContext) => Promise<Answer> {
  return async (request, context) => {
    try {
      const answer = await method(request, context);
      note(asksForMore(answer) ? 'challenged' : 'success', '');
      return answer;
    } catch (error) {
      note('failure', error instanceof Failure ? error.reason : 'INTERNAL');
      throw error;
    }
  };
}

/** Whether an answer asks for a second factor. */
function asksForMore(answer: { outcome?: { case?: unknown } }): boolean {
  return answer.outcome?.case === 'mfa';
}
