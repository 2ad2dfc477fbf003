import { Failure } from '../platform/failure.ts';

const MIN_CODE_POINTS = 12;
const MAX_CODE_POINTS = 128;

/**
 * Throws `PASSWORD_TOO_WEAK` for a password that is too short or too long, in code points after
 * NFKC. `field` is its path in the request.
 */
export function checkPassword(password: string, field: string): void {
  const length = [...password.normalize('NFKC')].length;
  if (length >= MIN_CODE_POINTS && length <= MAX_CODE_POINTS) return;
  const description = `must have ${MIN_CODE_POINTS} to ${MAX_CODE_POINTS} characters; it has ${length}`;
  throw new Failure('invalid', 'PASSWORD_TOO_WEAK', `the password ${description}`, {
    fields: [{ path: field, description }],
  });
}
