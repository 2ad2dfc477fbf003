import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { MfaChallengeSchema, MfaFactor } from '../../../gen/countersign/v1/mfa_pb.ts';
import type { LoginOutcome } from '../../login/login.ts';
import { tokensMessage } from './tokens-message.ts';

const FACTORS = {
  totp: MfaFactor.TOTP,
  recovery_code: MfaFactor.RECOVERY_CODE,
  passkey: MfaFactor.PASSKEY,
} as const;

/** The outcome of a sign-in: its tokens, or the challenge of its second factor. */
export function loginOutcome(outcome: LoginOutcome) {
  if ('tokens' in outcome) {
    return { case: 'tokens' as const, value: tokensMessage(outcome.tokens) };
  }
  const { token, factors, expiresAt } = outcome.challenge;
  const value = create(MfaChallengeSchema, {
    challengeToken: token,
    factors: factors.map((factor) => FACTORS[factor]),
    expiresAt: timestampFromDate(expiresAt),
  });
  return { case: 'mfa' as const, value };
}
