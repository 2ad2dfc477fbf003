import { escapeHtml } from '../mail/compose.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { type Endpoint, json, page } from './sidecar.ts';

/** The mails of the embedded default as JSON, newest first. */
export function mailboxJsonEndpoint(mailbox: Mailbox): Endpoint {
  return async () => json(200, await mailbox.list());
}

/** The same as a page for people, on which the links in mails can be opened. */
export function mailboxPageEndpoint(mailbox: Mailbox): Endpoint {
  return async () => {
    const mails = await mailbox.list();
    const articles = mails.map(
      ({ to, subject, text, sent_at }) =>
        `<article><h2>${escapeHtml(subject)}</h2><p>To ${escapeHtml(to)}, ${escapeHtml(sent_at)}</p><pre style="white-space: pre-wrap; overflow-wrap: anywhere">${withLinks(text)}</pre></article><hr>`,
    );
    const empty = '<p>No mail yet. Sign up, and reload this page.</p>';
    return page(`<h1>Mailbox</h1>\n${articles.join('\n') || empty}`);
  };
}

function withLinks(text: string): string {
  return escapeHtml(text).replace(/https?:\/\/[^\s<]+/g, (url) => `<a href="${url}">${url}</a>`);
}
