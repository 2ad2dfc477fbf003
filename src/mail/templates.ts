/** What a mail says, and to whom. Rendered when it is sent, so that jobs hold no prose. */
export type Mail = { to: string; displayName: string } & (
  | { template: 'verify_email'; token: string }
  | { template: 'address_taken' }
  | { template: 'refresh_token_reused'; deviceLabel: string; happenedAt: string }
);

export type RenderedMail = { subject: string; text: string; html: string };

/** Renders a mail. Links lead to `publicUrl` and carry tokens in the fragment, which is not sent. */
export function renderMail(mail: Mail, publicUrl: string): RenderedMail {
  const name = namable(oneLine(mail.displayName));
  const greeting = name === '' ? 'Hello,' : `Hello ${name},`;
  switch (mail.template) {
    case 'verify_email':
      return compose('Confirm your address', [
        greeting,
        'somebody, hopefully you, signed up with this address just now. Open this link within 10 minutes to confirm it:',
        new URL(`${publicUrl}/verify-email#token=${mail.token}`),
        "If you didn't sign up just now, don't open it: nothing happens then.",
      ]);
    case 'address_taken':
      return compose('You already have an account', [
        greeting,
        'somebody, perhaps you, tried to sign up with this address. It already has an account, and nothing has changed. Sign in with the password that you have.',
        "If that wasn't you, there is nothing to do.",
      ]);
    case 'refresh_token_reused':
      return compose('We ended one of your sessions', [
        greeting,
        `a credential of your session${mail.deviceLabel === '' ? '' : ` “${oneLine(mail.deviceLabel)}”`} was used twice at ${mail.happenedAt}. Somebody may have copied it, so that the session has been ended, for them and for you.`,
        'Sign in again to go on. If you know of no reason for this, change your password too.',
      ]);
    default:
      // Of a newer version, one of whose replicas will send it.
      throw new TypeError('the template is not known');
  }
}

function compose(subject: string, paragraphs: (string | URL)[]): RenderedMail {
  const html = paragraphs.map((paragraph) => {
    const content = escapeHtml(String(paragraph));
    return paragraph instanceof URL
      ? `<p><a href="${content}">${content}</a></p>`
      : `<p>${content}</p>`;
  });
  return {
    subject,
    text: `${paragraphs.map(String).join('\n\n')}\n`,
    html: `<!doctype html>\n<html lang="en"><body>\n${html.join('\n')}\n</body></html>\n`,
  };
}

/** Spaces and controls of all kinds, and what turns the direction of the text around it. */
const LAYOUT = /[\s\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** People's own words stay on their line, so that they can't pretend to be a paragraph of ours. */
function oneLine(text: string): string {
  return text.replace(LAYOUT, ' ').trim();
}

/**
 * A name, unless mail programs would make a link of it: anybody can have us write to anybody, and is
 * not to choose where our mail leads.
 */
function namable(name: string): string {
  return /:\/\/|\bwww\.|[^\s.]\.[a-z]{2,}/iu.test(name) ? '' : name;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
