import { compose, oneLine, quoted, type RenderedMail, unlessLink } from './compose.ts';
import { type Notice, noticeText } from './notice-text.ts';

/** A mail's content and recipient. It is rendered when it is sent: jobs hold no prose. */
export type Mail = { to: string; displayName: string } & (
  | { template: keyof typeof LINK_MAILS; token: string }
  | { template: keyof typeof PLAIN_MAILS }
  | { template: 'webhook_disabled'; webhookName: string; reason: keyof typeof WEBHOOK_DISABLED }
  // Notices that an earlier version queued have no token.
  | (Notice & { token?: string; happenedAt: string })
);

type Content = { subject: string; paragraphs: (string | URL)[] };

/** The mails that ask their reader to open a link: the page it leads to, and the text around it. */
const LINK_MAILS = {
  verify_email: {
    subject: 'Confirm your address',
    path: '/verify-email',
    before:
      'Someone, hopefully you, just signed up with this address. Open this link within 10 minutes to confirm it:',
    after: "If you didn't sign up, don't open the link, and nothing will happen.",
  },
  choose_password: {
    subject: 'Confirm your address and choose a password',
    path: '/reset-password',
    before:
      'Someone, hopefully you, asked for an account with this address. Open this link within 30 minutes to confirm the address and choose the password of the account. Any password entered before does not count:',
    after: "If you didn't ask for this, don't open the link, and nothing will happen.",
  },
  reset_password: {
    subject: 'Set a new password',
    path: '/reset-password',
    before: 'Open this link within 30 minutes to set a new password for your account:',
    after: "If you didn't ask for this, don't open the link, and your password will stay as it is.",
  },
  invitation: {
    subject: 'Your account is ready',
    path: '/reset-password',
    before:
      'An account has been created for you with this address. Open this link within 24 hours to choose a password for it:',
    after:
      "After that, ask for a new link as you would for a forgotten password. If you don't know what this is about, ignore this mail: the account will stay unused.",
  },
  change_email: {
    subject: 'Confirm your new address',
    path: '/confirm-email-change',
    before:
      'Someone, hopefully you, asked to use this address for their account. Open this link within 10 minutes to confirm it:',
    after: "If you didn't ask for this, don't open the link, and nothing will change.",
  },
  address_in_use: {
    subject: 'Your address belongs to another account',
    path: '/secure-account',
    before:
      'Everyone has been signed out of your account, and what was added to it is gone. But another account has this address by now, so nobody can sign in to yours with it. If that account is yours too, delete it or give it another address. Then open this link, within 7 days, to get your address back and set a new password:',
    after: "If the other account isn't yours, ask whoever runs this service for help.",
  },
} as const;

/** The mails that only inform. */
const PLAIN_MAILS = {
  address_taken: {
    subject: 'You already have an account',
    paragraphs: [
      'Someone, perhaps you, tried to use this address for an account. It already has an account, and nothing has changed. If it was you, sign in with the password that you have.',
      "If it wasn't you, there is nothing to do.",
    ],
  },
  account_deleted: {
    subject: 'Your account is deleted',
    paragraphs: [
      'Your account has been deleted, and the data that we held about you has been erased. This is the last mail about it.',
    ],
  },
};

/** Why a webhook was disabled, after its name. */
const WEBHOOK_DISABLED = {
  gone: 'has been disabled, because its target answers that it is gone for good (410)',
  failing: 'has been disabled, because nothing could be delivered to it for five days',
} as const;

/** Renders a mail. Links lead to `publicUrl` and carry tokens in the fragment, which is not sent. */
export function renderMail(mail: Mail, publicUrl: string): RenderedMail {
  const name = unlessLink(oneLine(mail.displayName));
  const greeting = name === '' ? 'Hello,' : `Hello ${name},`;
  const { subject, paragraphs } = contentOf(mail, publicUrl);
  return compose(subject, [greeting, ...paragraphs]);
}

function contentOf(mail: Mail, publicUrl: string): Content {
  const link = (path: string, token: string) => new URL(`${publicUrl}${path}#token=${token}`);
  switch (mail.template) {
    case 'verify_email':
    case 'choose_password':
    case 'reset_password':
    case 'invitation':
    case 'change_email':
    case 'address_in_use': {
      const { subject, path, before, after } = LINK_MAILS[mail.template];
      return { subject, paragraphs: [before, link(path, mail.token), after] };
    }
    case 'address_taken':
    case 'account_deleted':
      return PLAIN_MAILS[mail.template];
    case 'webhook_disabled': {
      const what = `The webhook${quoted(mail.webhookName)} ${WEBHOOK_DISABLED[mail.reason]}.`;
      const then =
        'What was not delivered waits for up to 30 days. Enable the webhook when its target is there again; events since then can be sent again too.';
      return { subject: 'A webhook was disabled', paragraphs: [what, then] };
    }
    default: {
      const { subject, sentence } = noticeText(mail);
      const wayOut = mail.token === undefined ? [] : [WAY_OUT, link('/secure-account', mail.token)];
      return {
        subject,
        paragraphs: [`${sentence} This happened at ${mail.happenedAt}.`, ...wayOut],
      };
    }
  }
}

const WAY_OUT =
  "If this was you, there is nothing to do. If it wasn't, open this link within 7 days: it signs everyone out, takes away what was added to your account since, and mails you a link to set a new password:";
