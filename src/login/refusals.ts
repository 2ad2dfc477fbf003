import { Failure } from '../platform/failure.ts';

/** The one answer to a wrong password, an unknown address, and a lock. */
export function invalidCredentials(): Failure {
  return new Failure(
    'unauthenticated',
    'INVALID_CREDENTIALS',
    'the address and the password do not belong together',
  );
}

/** Why an account whose owner has proved who they are may not sign in, if it may not. */
export function notAdmitted(
  account: { state: string; isVerified: boolean },
  requireVerifiedEmail: boolean,
): Failure | undefined {
  if (account.state === 'suspended') {
    return new Failure('denied', 'ACCOUNT_SUSPENDED', 'the account has been suspended');
  }
  if (requireVerifiedEmail && !account.isVerified) {
    const message = 'the address has not been verified yet';
    return new Failure('precondition', 'EMAIL_NOT_VERIFIED', message);
  }
  return undefined;
}
