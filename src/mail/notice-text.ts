import type { TextKey } from '../texts/english.ts';
import { type Language, say } from '../texts/languages.ts';
import { oneLine, quoted } from './compose.ts';

/** A change that owners are told about, because it may not have been theirs (E06). */
export type Notice =
  | { template: 'password_changed' | 'mfa_enabled' | 'mfa_disabled' | 'recovery_codes_replaced' }
  | { template: 'email_changed'; newEmail: string }
  | { template: 'passkey_added' | 'passkey_removed'; passkeyName: string }
  | { template: 'identity_linked' | 'identity_unlinked'; providerName: string }
  | { template: 'refresh_token_reused'; deviceLabel: string }
  | { template: 'account_locked'; factor: 'password' | 'code'; forGood: boolean }
  | { template: 'new_device'; device: string; address: string };

/** Returns the subject of a notice, and the sentence that says what happened. */
export function noticeText(
  language: Language,
  notice: Notice,
): { subject: string; sentence: string } {
  const text = (key: TextKey, values?: Record<string, string>) => ({
    subject: say(language, `mail.${notice.template}.subject`),
    sentence: say(language, key, values),
  });
  switch (notice.template) {
    case 'password_changed':
    case 'mfa_enabled':
    case 'mfa_disabled':
    case 'recovery_codes_replaced':
      return text(`mail.${notice.template}.text`);
    case 'email_changed':
      return text('mail.email_changed.text', { email: oneLine(notice.newEmail) });
    case 'passkey_added':
    case 'passkey_removed':
      return text(`mail.${notice.template}.text`, {
        passkey: quoted(language, notice.passkeyName),
      });
    case 'identity_linked':
    case 'identity_unlinked':
      return text(`mail.${notice.template}.text`, {
        provider: quoted(language, notice.providerName),
      });
    case 'refresh_token_reused':
      return text('mail.refresh_token_reused.text', {
        device: quoted(language, notice.deviceLabel),
      });
    case 'account_locked':
      return text(
        `mail.account_locked.${notice.factor}_${notice.forGood ? 'for_good' : 'for_a_while'}`,
      );
    case 'new_device':
      return text('mail.new_device.text', {
        device: quoted(language, notice.device),
        address: notice.address,
      });
    default:
      // A newer version queued it, and a replica of that version will send it.
      throw new TypeError('the template is not known');
  }
}
