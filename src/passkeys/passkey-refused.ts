import { Failure } from '../platform/failure.ts';

/**
 * The refusal of a wrong answer at a sign-in, the same whatever is wrong with it: the credential, the
 * signature, the challenge or the origin.
 */
export function passkeyRefused(): Failure {
  return new Failure(
    'unauthenticated',
    'MFA_CODE_INVALID',
    "the passkey's answer is wrong, or its challenge has been used or has expired; try again",
  );
}

/** The refusal of a wrong answer at a registration. */
export function registrationRefused(): Failure {
  return new Failure(
    'invalid',
    'MFA_CODE_INVALID',
    "the authenticator's answer is wrong, or its challenge has been used or has expired; try again",
    { fields: [{ path: 'credential_json', description: 'is not a correct answer' }] },
  );
}
