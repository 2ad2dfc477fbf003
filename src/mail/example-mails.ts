import type { Mail } from './templates.ts';

const OWNER = { to: 'pat@example.com', displayName: 'Pat' };
const NOTICE = { ...OWNER, token: 'csm_example', happenedAt: '2030-01-31T12:00:00.000Z' };
const LINK = { ...OWNER, token: 'csm_example' };

/** One mail of each kind, as previews and tests show them. */
export const EXAMPLE_MAILS: readonly Mail[] = [
  { ...LINK, template: 'verify_email' },
  { ...LINK, template: 'choose_password' },
  { ...LINK, template: 'reset_password' },
  { ...LINK, template: 'invitation' },
  { ...LINK, template: 'change_email' },
  { ...LINK, template: 'address_in_use' },
  { ...OWNER, template: 'address_taken' },
  { ...OWNER, template: 'account_deleted' },
  { ...OWNER, template: 'webhook_disabled', webhookName: 'Orders', reason: 'failing' },
  { ...NOTICE, template: 'password_changed' },
  { ...NOTICE, template: 'email_changed', newEmail: 'pat@new.example' },
  { ...NOTICE, template: 'mfa_enabled' },
  { ...NOTICE, template: 'mfa_disabled' },
  { ...NOTICE, template: 'recovery_codes_replaced' },
  { ...NOTICE, template: 'passkey_added', passkeyName: 'Pat’s phone' },
  { ...NOTICE, template: 'passkey_removed', passkeyName: 'Pat’s phone' },
  { ...NOTICE, template: 'identity_linked', providerName: 'Example' },
  { ...NOTICE, template: 'identity_unlinked', providerName: 'Example' },
  { ...NOTICE, template: 'refresh_token_reused', deviceLabel: 'Pat’s phone' },
  { ...NOTICE, template: 'account_locked', factor: 'password', forGood: false },
  { ...NOTICE, template: 'new_device', device: 'Firefox on Linux', address: '203.0.113.7' },
];
