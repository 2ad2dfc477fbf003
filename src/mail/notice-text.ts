import { oneLine, quoted } from './compose.ts';

/** A change that owners are told about, because it may not have been theirs (E06). */
export type Notice =
  | { template: 'password_changed' | 'mfa_enabled' | 'mfa_disabled' | 'recovery_codes_replaced' }
  | { template: 'email_changed'; newEmail: string }
  | { template: 'passkey_added' | 'passkey_removed'; passkeyName: string }
  | { template: 'refresh_token_reused'; deviceLabel: string }
  | { template: 'account_locked'; factor: 'password' | 'code'; forGood: boolean }
  | { template: 'new_device'; device: string; address: string };

/** The ways to lift a lock that time does not lift. */
const LOCKED_UNTIL = {
  password: 'until you set a new password or an administrator unlocks your account',
  code: 'until you sign in with a recovery code or a passkey, or an administrator unlocks your account',
};

/** Returns the subject of a notice, and the sentence that says what happened. */
export function noticeText(notice: Notice): { subject: string; sentence: string } {
  switch (notice.template) {
    case 'password_changed':
      return { subject: 'Your password was changed', sentence: 'Your password has been changed.' };
    case 'email_changed':
      return {
        subject: 'Your address was changed',
        sentence: `Your account now has a new address: ${oneLine(notice.newEmail)}.`,
      };
    case 'mfa_enabled':
      return {
        subject: 'Two-step sign-in was turned on',
        sentence: 'From now on, signing in to your account takes a code from an authenticator app.',
      };
    case 'mfa_disabled':
      return {
        subject: 'Two-step sign-in was turned off',
        sentence: 'Signing in to your account no longer takes a code after the password.',
      };
    case 'recovery_codes_replaced':
      return {
        subject: 'Your recovery codes were replaced',
        sentence: 'Your account has new recovery codes, and the previous ones no longer work.',
      };
    case 'passkey_added':
      return {
        subject: 'A passkey was added',
        sentence: `From now on, a passkey${quoted(notice.passkeyName)} can sign in to your account.`,
      };
    case 'passkey_removed':
      return {
        subject: 'A passkey was removed',
        sentence: `The passkey${quoted(notice.passkeyName)} can no longer sign in to your account.`,
      };
    case 'refresh_token_reused':
      return {
        subject: 'We ended one of your sessions',
        sentence: `A credential of your session${quoted(notice.deviceLabel)} was used twice. Someone may have copied it, so we have ended the session, for them and for you. Sign in again to continue.`,
      };
    case 'account_locked': {
      const until = notice.forGood ? LOCKED_UNTIL[notice.factor] : 'for a while';
      return {
        subject: 'Your account is locked',
        sentence: `Someone repeatedly entered a wrong ${notice.factor} for your account, so no ${notice.factor} is accepted ${until}.`,
      };
    }
    case 'new_device':
      return {
        subject: 'A new device signed in',
        sentence: `Someone signed in to your account from a device that we had not seen before:${quoted(notice.device)}, address ${notice.address}.`,
      };
    default:
      // A newer version queued it, and a replica of that version will send it.
      throw new TypeError('the template is not known');
  }
}
