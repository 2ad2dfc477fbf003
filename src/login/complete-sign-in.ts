import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type IssuedTokens, openSession, type SessionDeps } from '../sessions/open-session.ts';
import type { SignInAccount } from './sign-in-state.ts';

export type SignInDeps = SessionDeps & NoticeDeps & { requireVerifiedEmail: boolean };

/** Whose sign-in is complete, and how they proved who they are (RFC 8176). */
export type CompletedSignIn = {
  account: Omit<SignInAccount, 'state'>;
  amr: string[];
  deviceLabel: string;
  isNewDevice: boolean;
};

/** Opens the session of a sign-in, and tells the owner where its device is a new one (E06). */
export async function completeSignIn(
  em: EntityManager,
  deps: SignInDeps,
  caller: Caller,
  { account, amr, deviceLabel, isNewDevice }: CompletedSignIn,
): Promise<IssuedTokens> {
  if (isNewDevice) {
    const device = deviceLabel === '' ? caller.userAgent : deviceLabel;
    const notice = { template: 'new_device' as const, device, address: caller.ipAddress };
    await sendNotice(em, deps, account, notice);
  }
  return openSession(em, deps, caller, { account, amr, deviceLabel });
}
