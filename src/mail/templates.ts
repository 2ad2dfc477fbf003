import type { Brand } from '../texts/brand.ts';
import { type Language, type Languages, say } from '../texts/languages.ts';
import {
  compose,
  type MailContent,
  type MailLink,
  oneLine,
  quoted,
  type RenderedMail,
  unlessLink,
} from './compose.ts';
import { type Notice, noticeText } from './notice-text.ts';

/** A mail's content and recipient. It is rendered when it is sent: jobs hold no prose. */
export type Mail = {
  to: string;
  displayName: string;
  /** The language of its reader (RFC 5646), if that is known. */
  locale?: string | null | undefined;
} & (
  | { template: keyof typeof LINK_MAILS; token: string }
  | { template: 'address_taken' | 'account_deleted' }
  | { template: 'webhook_disabled'; webhookName: string; reason: 'gone' | 'failing' }
  // Notices that an earlier version queued have no token.
  | (Notice & { token?: string; happenedAt: string })
);

/** What mails are rendered with. */
export type MailLook = { publicUrl: string; brand: Brand; languages: Languages };

/** The mails that ask their reader to open a link, and the page that it leads to. */
const LINK_MAILS = {
  verify_email: '/verify-email',
  choose_password: '/reset-password',
  reset_password: '/reset-password',
  invitation: '/reset-password',
  change_email: '/confirm-email-change',
  address_in_use: '/secure-account',
} as const;

/** Renders a mail. Links lead to `publicUrl` and carry tokens in the fragment, which is not sent. */
export function renderMail(mail: Mail, { publicUrl, brand, languages }: MailLook): RenderedMail {
  const language = languages.choose(mail.locale ?? '');
  const name = unlessLink(oneLine(mail.displayName));
  const greeting =
    name === '' ? say(language, 'mail.greeting') : say(language, 'mail.greeting_by_name', { name });
  const { subject, paragraphs } = contentOf(mail, publicUrl, language);
  return compose({ brand, language }, { subject, paragraphs: [greeting, ...paragraphs] });
}

function contentOf(mail: Mail, publicUrl: string, language: Language): MailContent {
  const link = (path: string, token: string, button: string): MailLink => {
    return { url: new URL(`${publicUrl}${path}#token=${token}`), button };
  };
  const { template } = mail;
  switch (template) {
    case 'verify_email':
    case 'choose_password':
    case 'reset_password':
    case 'invitation':
    case 'change_email':
    case 'address_in_use': {
      const button = say(language, `mail.${template}.button`);
      return {
        subject: say(language, `mail.${template}.subject`),
        paragraphs: [
          say(language, `mail.${template}.before`),
          link(LINK_MAILS[template], mail.token, button),
          say(language, `mail.${template}.after`),
        ],
      };
    }
    case 'address_taken':
      return {
        subject: say(language, 'mail.address_taken.subject'),
        paragraphs: [
          say(language, 'mail.address_taken.text'),
          say(language, 'mail.address_taken.after'),
        ],
      };
    case 'account_deleted':
      return {
        subject: say(language, 'mail.account_deleted.subject'),
        paragraphs: [say(language, 'mail.account_deleted.text')],
      };
    case 'webhook_disabled': {
      const webhook = quoted(language, mail.webhookName);
      return {
        subject: say(language, 'mail.webhook_disabled.subject'),
        paragraphs: [
          say(language, `mail.webhook_disabled.${mail.reason}`, { webhook }),
          say(language, 'mail.webhook_disabled.after'),
        ],
      };
    }
    default: {
      const { subject, sentence } = noticeText(language, mail);
      const happened = say(language, 'mail.happened', { sentence, time: mail.happenedAt });
      if (mail.token === undefined) return { subject, paragraphs: [happened] };
      const wayOut = link('/secure-account', mail.token, say(language, 'mail.way_out.button'));
      return { subject, paragraphs: [happened, say(language, 'mail.way_out'), wayOut] };
    }
  }
}
