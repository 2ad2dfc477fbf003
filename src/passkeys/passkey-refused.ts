import { Failure } from '../platform/failure.ts';

/**
 * What is said of an answer to a sign-in that is not right, whatever is wrong with it: unknown
 * credential, signature, challenge, origin.
 */
export function passkeyRefused(): Failure {
  return new Failure(
    'unauthenticated',
    'MFA_CODE_INVALID',
    "the passkey's answer is not right, or its challenge was used or has expired",
  );
}

/** The same of a registration. */
export function registrationRefused(): Failure {
  return new Failure(
    'invalid',
    'MFA_CODE_INVALID',
    "the authenticator's answer is not right, or its challenge was used or has expired",
    { fields: [{ path: 'credential_json', description: 'is not a right answer' }] },
  );
}
