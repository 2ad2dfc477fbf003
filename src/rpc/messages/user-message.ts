import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { UserSchema, UserState } from '../../../gen/countersign/v1/user_pb.ts';
import type { User } from '../../accounts/user.ts';

const STATES = {
  active: UserState.ACTIVE,
  suspended: UserState.SUSPENDED,
  deleted: UserState.DELETED,
} as const;

/** A user as the API shows it. */
export function userMessage(user: User) {
  const { createdAt, updatedAt, lastLoginAt, lockedUntil, ...same } = user;
  return create(UserSchema, {
    ...same,
    state: STATES[user.state],
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
    ...(lastLoginAt && { lastLoginAt: timestampFromDate(lastLoginAt) }),
    ...(lockedUntil && { lockedUntil: timestampFromDate(lockedUntil) }),
  });
}
