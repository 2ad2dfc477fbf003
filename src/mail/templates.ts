import { compose, namable, oneLine, quoted, type RenderedMail } from './compose.ts';

/** What a mail says, and to whom. Rendered when it is sent, so that jobs hold no prose. */
export type Mail = { to: string; displayName: string } & (
  | { template: 'verify_email' | 'reset_password' | 'change_email' | 'invitation'; token: string }
  | { template: 'address_taken' | 'account_deleted' }
  // Without a token: of the version before notices had one, one of whose replicas enqueued it.
  | (Notice & { token?: string; happenedAt: string })
);

/** What an owner is told of because it may not have been them (E06). */
export type Notice =
  | { template: 'password_changed' | 'mfa_enabled' | 'mfa_disabled' | 'recovery_codes_replaced' }
  | { template: 'email_changed'; newEmail: string }
  | { template: 'passkey_added' | 'passkey_removed'; passkeyName: string }
  | { template: 'refresh_token_reused'; deviceLabel: string }
  | { template: 'account_locked'; factor: 'password' | 'code'; forGood: boolean }
  | { template: 'new_device'; device: string; address: string };

type Content = { subject: string; paragraphs: (string | URL)[] };

/** Renders a mail. Links lead to `publicUrl` and carry tokens in the fragment, which is not sent. */
export function renderMail(mail: Mail, publicUrl: string): RenderedMail {
  const name = namable(oneLine(mail.displayName));
  const greeting = name === '' ? 'Hello,' : `Hello ${name},`;
  const { subject, paragraphs } = contentOf(mail, publicUrl);
  return compose(subject, [greeting, ...paragraphs]);
}

function contentOf(mail: Mail, publicUrl: string): Content {
  const link = (path: string, token: string) => new URL(`${publicUrl}${path}#token=${token}`);
  switch (mail.template) {
    case 'verify_email':
      return {
        subject: 'Confirm your address',
        paragraphs: [
          'somebody, hopefully you, signed up with this address just now. Open this link within 10 minutes to confirm it:',
          link('/verify-email', mail.token),
          "If you didn't sign up just now, don't open it: nothing happens then.",
        ],
      };
    case 'reset_password':
      return {
        subject: 'Set a new password',
        paragraphs: [
          'open this link within 30 minutes to set a new password for your account:',
          link('/reset-password', mail.token),
          "If you didn't ask for this, don't open it: nothing happens then.",
        ],
      };
    case 'invitation':
      return {
        subject: 'Your account is ready',
        paragraphs: [
          'an account with this address has been made for you. Open this link within 24 hours to choose a password for it:',
          link('/reset-password', mail.token),
          'After that, ask for a new link as for a forgotten password. If you know nothing of this, do nothing: the account stays unused.',
        ],
      };
    case 'change_email':
      return {
        subject: 'Confirm your new address',
        paragraphs: [
          'somebody, hopefully you, asked for this to be the address of their account. Open this link within 10 minutes to confirm it:',
          link('/confirm-email-change', mail.token),
          "If you didn't ask for this, don't open it: nothing happens then.",
        ],
      };
    case 'address_taken':
      return {
        subject: 'You already have an account',
        paragraphs: [
          'somebody, perhaps you, tried to use this address for an account. It already has an account, and nothing has changed. Sign in with the password that you have.',
          "If that wasn't you, there is nothing to do.",
        ],
      };
    case 'account_deleted':
      return {
        subject: 'Your account is deleted',
        paragraphs: [
          'your account has been deleted, and what was held on you erased. This is the last mail about it.',
        ],
      };
    default: {
      const { subject, sentence } = noticeOf(mail);
      return {
        subject,
        paragraphs: [
          `${sentence} This was at ${mail.happenedAt}.`,
          ...(mail.token === undefined ? [] : [WAY_OUT, link('/secure-account', mail.token)]),
        ],
      };
    }
  }
}

const WAY_OUT =
  "If this was you, there is nothing to do. If it wasn't, open this link within 7 days: it signs everybody out, undoes what it can, and mails you a link to set a new password:";

/** What lifts a lock that time does not lift. */
const LOCKED_UNTIL = {
  password: 'until you set a new password or an administrator unlocks your account',
  code: 'until you sign in with a recovery code or a passkey, or an administrator unlocks your account',
};

function noticeOf(notice: Notice): { subject: string; sentence: string } {
  switch (notice.template) {
    case 'password_changed':
      return { subject: 'Your password was changed', sentence: 'your password has been changed.' };
    case 'email_changed':
      return {
        subject: 'Your address was changed',
        sentence: `your account has a new address now: ${oneLine(notice.newEmail)}.`,
      };
    case 'mfa_enabled':
      return {
        subject: 'Two-step sign-in was turned on',
        sentence: 'your account asks for a code of an authenticator app from now on.',
      };
    case 'mfa_disabled':
      return {
        subject: 'Two-step sign-in was turned off',
        sentence: 'your account no longer asks for a code after the password.',
      };
    case 'recovery_codes_replaced':
      return {
        subject: 'Your recovery codes were replaced',
        sentence: 'your account has new recovery codes, and those before no longer work.',
      };
    case 'passkey_added':
      return {
        subject: 'A passkey was added',
        sentence: `a passkey${quoted(notice.passkeyName)} can sign in to your account from now on.`,
      };
    case 'passkey_removed':
      return {
        subject: 'A passkey was removed',
        sentence: `the passkey${quoted(notice.passkeyName)} no longer signs in to your account.`,
      };
    case 'refresh_token_reused':
      return {
        subject: 'We ended one of your sessions',
        sentence: `a credential of your session${quoted(notice.deviceLabel)} was used twice. Somebody may have copied it, so that the session has been ended, for them and for you; sign in again to go on.`,
      };
    case 'account_locked': {
      const until = notice.forGood ? LOCKED_UNTIL[notice.factor] : 'for a while';
      return {
        subject: 'Your account is locked',
        sentence: `somebody gave a wrong ${notice.factor} for your account again and again, so that no ${notice.factor} is taken ${until}.`,
      };
    }
    case 'new_device':
      return {
        subject: 'A new device signed in',
        sentence: `somebody signed in to your account from a device that we had not seen before:${quoted(notice.device)}, address ${notice.address}.`,
      };
    default:
      // Of a newer version, one of whose replicas will send it.
      throw new TypeError('the template is not known');
  }
}
