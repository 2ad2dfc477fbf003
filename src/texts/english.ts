/**
 * Every text that people read in mails and on pages, in English. `{…}` stands for what is filled in; a
 * translation has the same ones. `countersign mail texts` prints them as the file that a translation
 * begins with.
 */
export const ENGLISH = {
  'mail.greeting': 'Hello,',
  'mail.greeting_by_name': 'Hello {name},',
  'mail.footer': 'This mail was sent by {brand}.',
  'mail.quoted': ' “{text}”',

  'mail.verify_email.subject': 'Confirm your address',
  'mail.verify_email.before':
    'Someone, hopefully you, just signed up with this address. Open this link within 10 minutes to confirm it:',
  'mail.verify_email.button': 'Confirm the address',
  'mail.verify_email.after': "If you didn't sign up, don't open the link, and nothing will happen.",

  'mail.choose_password.subject': 'Confirm your address and choose a password',
  'mail.choose_password.before':
    'Someone, hopefully you, asked for an account with this address. Open this link within 30 minutes to confirm the address and choose the password of the account. Any password entered before does not count:',
  'mail.choose_password.button': 'Choose a password',
  'mail.choose_password.after':
    "If you didn't ask for this, don't open the link, and nothing will happen.",

  'mail.reset_password.subject': 'Set a new password',
  'mail.reset_password.before':
    'Open this link within 30 minutes to set a new password for your account:',
  'mail.reset_password.button': 'Set a new password',
  'mail.reset_password.after':
    "If you didn't ask for this, don't open the link, and your password will stay as it is.",

  'mail.invitation.subject': 'Your account is ready',
  'mail.invitation.before':
    'An account has been created for you with this address. Open this link within 24 hours to choose a password for it:',
  'mail.invitation.button': 'Choose a password',
  'mail.invitation.after':
    "After that, ask for a new link as you would for a forgotten password. If you don't know what this is about, ignore this mail: the account will stay unused.",

  'mail.change_email.subject': 'Confirm your new address',
  'mail.change_email.before':
    'Someone, hopefully you, asked to use this address for their account. Open this link within 10 minutes to confirm it:',
  'mail.change_email.button': 'Confirm the new address',
  'mail.change_email.after':
    "If you didn't ask for this, don't open the link, and nothing will change.",

  'mail.address_in_use.subject': 'Your address belongs to another account',
  'mail.address_in_use.before':
    'Everyone has been signed out of your account, and what was added to it is gone. But another account has this address by now, so nobody can sign in to yours with it. If that account is yours too, delete it or give it another address. Then open this link, within 7 days, to get your address back and set a new password:',
  'mail.address_in_use.button': 'Get the address back',
  'mail.address_in_use.after':
    "If the other account isn't yours, ask whoever runs this service for help.",

  'mail.address_taken.subject': 'You already have an account',
  'mail.address_taken.text':
    'Someone, perhaps you, tried to use this address for an account. It already has an account, and nothing has changed. If it was you, sign in with the password that you have.',
  'mail.address_taken.after': "If it wasn't you, there is nothing to do.",

  'mail.account_deleted.subject': 'Your account is deleted',
  'mail.account_deleted.text':
    'Your account has been deleted, and the data that we held about you has been erased. This is the last mail about it.',

  'mail.webhook_disabled.subject': 'A webhook was disabled',
  'mail.webhook_disabled.gone':
    'The webhook{webhook} has been disabled, because its target answers that it is gone for good (410).',
  'mail.webhook_disabled.failing':
    'The webhook{webhook} has been disabled, because nothing could be delivered to it for five days.',
  'mail.webhook_disabled.after':
    'What was not delivered waits for up to 30 days. Enable the webhook when its target is there again; events since then can be sent again too.',

  'mail.happened': '{sentence} This happened at {time}.',
  'mail.way_out':
    "If this was you, there is nothing to do. If it wasn't, open this link within 7 days: it signs everyone out, takes away what was added to your account since, and mails you a link to set a new password:",
  'mail.way_out.button': "This wasn't me",

  'mail.password_changed.subject': 'Your password was changed',
  'mail.password_changed.text': 'Your password has been changed.',
  'mail.email_changed.subject': 'Your address was changed',
  'mail.email_changed.text': 'Your account now has a new address: {email}.',
  'mail.mfa_enabled.subject': 'Two-step sign-in was turned on',
  'mail.mfa_enabled.text':
    'From now on, signing in to your account takes a code from an authenticator app.',
  'mail.mfa_disabled.subject': 'Two-step sign-in was turned off',
  'mail.mfa_disabled.text': 'Signing in to your account no longer takes a code after the password.',
  'mail.recovery_codes_replaced.subject': 'Your recovery codes were replaced',
  'mail.recovery_codes_replaced.text':
    'Your account has new recovery codes, and the previous ones no longer work.',
  'mail.passkey_added.subject': 'A passkey was added',
  'mail.passkey_added.text': 'From now on, a passkey{passkey} can sign in to your account.',
  'mail.passkey_removed.subject': 'A passkey was removed',
  'mail.passkey_removed.text': 'The passkey{passkey} can no longer sign in to your account.',
  'mail.identity_linked.subject': 'Another way to sign in was added',
  'mail.identity_linked.text':
    'From now on, someone’s account at{provider} can sign in to your account.',
  'mail.identity_unlinked.subject': 'A way to sign in was removed',
  'mail.identity_unlinked.text': 'An account at{provider} can no longer sign in to your account.',
  'mail.refresh_token_reused.subject': 'We ended one of your sessions',
  'mail.refresh_token_reused.text':
    'A credential of your session{device} was used twice. Someone may have copied it, so we have ended the session, for them and for you. Sign in again to continue.',
  'mail.account_locked.subject': 'Your account is locked',
  'mail.account_locked.password_for_a_while':
    'Someone repeatedly entered a wrong password for your account, so no password is accepted for a while.',
  'mail.account_locked.password_for_good':
    'Someone repeatedly entered a wrong password for your account, so no password is accepted until you set a new password or an administrator unlocks your account.',
  'mail.account_locked.code_for_a_while':
    'Someone repeatedly entered a wrong code for your account, so no code is accepted for a while.',
  'mail.account_locked.code_for_good':
    'Someone repeatedly entered a wrong code for your account, so no code is accepted until you sign in with a recovery code or a passkey, or an administrator unlocks your account.',
  'mail.new_device.subject': 'A new device signed in',
  'mail.new_device.text':
    'Someone signed in to your account from a device that we had not seen before:{device}, address {address}.',

  'page.continue': 'Continue to {brand}',
  'page.no_script': 'This page needs JavaScript.',
  'page.no_token': 'This link is not complete. Open it from the mail again.',
  'page.failed': 'The service cannot be reached. Try again.',
  'page.error.TOKEN_INVALID':
    'This link has been used, or a newer mail has replaced it. Open the newest one, or ask for another.',
  'page.error.TOKEN_EXPIRED': 'This link has expired. Ask for another one.',
  'page.error.RATE_LIMITED': 'There were too many attempts. Wait a minute, and try again.',

  'page.verify_email.title': 'Confirm your address',
  'page.verify_email.text': 'One click, and your address is confirmed.',
  'page.verify_email.button': 'Confirm',
  'page.verify_email.done': 'Your address is confirmed. You can sign in now.',
  'page.reset_password.title': 'Set a new password',
  'page.reset_password.text': 'This signs you out everywhere. Then sign in with the new password.',
  'page.reset_password.button': 'Set the password',
  'page.reset_password.done': 'Your password is set. You can sign in now.',
  'page.confirm_email_change.title': 'Confirm your new address',
  'page.confirm_email_change.text': 'One click, and you sign in with this address from now on.',
  'page.confirm_email_change.button': 'Confirm',
  'page.confirm_email_change.done': 'Your address is changed.',
  'page.secure_account.title': "This wasn't me",
  'page.secure_account.text':
    'This signs everybody out of your account, undoes what the mail is about and whatever was added to your account since, and mails you a link to set a new password. The old password and API keys stop working.',
  'page.secure_account.button': 'Secure my account',
  'page.secure_account.done':
    'Your account is secured. A mail that says what to do next is on its way.',

  'page.password.label': 'New password',
  'page.password.hint':
    'At least {min} characters. Several words that have nothing to do with each other are good; paste it from a password manager if you have one.',
  'page.password.show': 'Show',
  'page.password.hide': 'Hide',
  'page.password.too_short': 'Too short: {count} of {min} characters.',
  'page.password.too_long': 'Too long: {count} characters, and {max} at most.',
  'page.password.repeated': 'Too easy to guess: it repeats itself.',
  'page.password.sequence': 'Too easy to guess: it is a row of keys, letters or digits.',
  'page.password.refused': 'This password is refused: it {reason}',
  'page.password.long_enough':
    'Long enough. Whether it is hard to guess is checked when you set it.',
} as const;

export type TextKey = keyof typeof ENGLISH;
export type Texts = Readonly<Record<TextKey, string>>;
