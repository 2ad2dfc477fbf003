import { escapeHtml } from '../mail/compose.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { languageOf } from '../texts/languages.ts';
import type { PageFrame } from './page.ts';
import { type Endpoint, json } from './sidecar.ts';
import { forThisMachine } from './this-machine.ts';

const ENGLISH = languageOf('en', {});
const NOT_SHOWN = 'the mailbox is shown on its own machine only; see COUNTERSIGN_DEV_MAILBOX';

/** The mailbox of the embedded default, newest mail first, by path: for people, and for scripts. */
export function mailboxPages(
  mailbox: Mailbox,
  frame: PageFrame,
  forAnyone: boolean,
): [string, Endpoint][] {
  const pages: [string, Endpoint][] = [
    ['/dev/mailbox', mailboxPageEndpoint(mailbox, frame)],
    ['/dev/mailbox.json', mailboxJsonEndpoint(mailbox)],
  ];
  return pages.map(([path, own]) => [path, forAnyone ? own : forThisMachine(own, NOT_SHOWN)]);
}

function mailboxJsonEndpoint(mailbox: Mailbox): Endpoint {
  return async () => json(200, await mailbox.list());
}

/** A page on which the links in mails can be opened. */
function mailboxPageEndpoint(mailbox: Mailbox, frame: PageFrame): Endpoint {
  return async () => {
    const mails = await mailbox.list();
    const articles = mails.map(
      ({ to, subject, text, sent_at }) =>
        `<article><h2>${escapeHtml(subject)}</h2><p>To ${escapeHtml(to)}, ${escapeHtml(sent_at)}</p><pre>${withLinks(text)}</pre></article>`,
    );
    const empty = '<p>No mail yet. Sign up, and reload this page.</p>';
    const main = `<main><h1>Mailbox</h1>\n${articles.join('\n') || empty}</main>`;
    return frame.page({ language: ENGLISH, title: 'Mailbox', main, isWide: true });
  };
}

function withLinks(text: string): string {
  return escapeHtml(text).replace(/https?:\/\/[^\s<]+/g, (url) => `<a href="${url}">${url}</a>`);
}
