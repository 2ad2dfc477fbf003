/** Why sessions and tokens are revoked, as watchers and the audit trail read it. */
export type RevocationCause =
  | 'logout'
  | 'refresh_token_reused'
  | 'session_revoked'
  | 'password_changed'
  | 'password_reset'
  | 'email_changed'
  | 'address_proved'
  | 'mfa_enabled'
  | 'account_secured'
  | 'account_deleted'
  | 'user_suspended'
  | 'role_revoked'
  | 'role_changed'
  | 'service_account_deleted'
  | 'signing_key_revoked'
  | 'api_key_revoked'
  | 'token_revoked';
