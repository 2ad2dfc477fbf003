import type { SignInAccount } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { IssuedTokens, TokenIssuer } from '../sessions/token-issuer.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

/** Whose sign-in is complete, and how they proved who they are (RFC 8176). */
type CompletedSignIn = {
  account: Omit<SignInAccount, 'state'>;
  amr: string[];
  /** The identity provider that they proved it to, if it was one. */
  idp?: string | undefined;
  /** When, if it was not now. */
  provedAt?: Date;
  deviceLabel: string;
  isNewDevice: boolean;
};

/** Opens the session of a sign-in, and mails the owner if the device is a new one (E06). */
export async function completeSignIn(
  tx: Transaction,
  { keyring, tokenIssuer }: { keyring: Keyring; tokenIssuer: TokenIssuer },
  { isNewDevice, ...signIn }: CompletedSignIn,
): Promise<IssuedTokens> {
  const { account, deviceLabel } = signIn;
  if (isNewDevice) {
    const { userAgent, ipAddress: address } = tx.caller;
    const device = deviceLabel === '' ? userAgent : deviceLabel;
    await sendNotice(tx, keyring, account, { template: 'new_device', device, address });
  }
  return tokenIssuer.openSession(tx, signIn);
}
