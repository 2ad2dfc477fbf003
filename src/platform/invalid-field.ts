import { Failure, type Reason } from './failure.ts';

/**
 * Returns the refusal of a request because of one of its fields. `description` says what is wrong and
 * follows the field's name: `invalidField('email', 'is not an address')`.
 */
export function invalidField(
  path: string,
  description: string,
  reason: Reason = 'INVALID_REQUEST',
): Failure {
  const fields = [{ path, description }];
  return new Failure('invalid', reason, `${path} ${description}`, { fields });
}
