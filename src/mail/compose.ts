import type { Brand } from '../texts/brand.ts';
import { readableOn } from '../texts/contrast.ts';
import { type Language, say } from '../texts/languages.ts';

export type RenderedMail = { subject: string; text: string; html: string };

/** A link that stands alone, with what its button says. */
export type MailLink = { url: URL; button: string };

/** A mail of paragraphs, before it has a form. */
export type MailContent = { subject: string; paragraphs: readonly (string | MailLink)[] };

/** Whose mail it is, and in which language. */
export type MailStyle = { brand: Brand; language: Language };

const WHITE = '#ffffff';

/** Renders a mail, as text and as HTML. */
export function compose(style: MailStyle, { subject, paragraphs }: MailContent): RenderedMail {
  const { name: brand, url } = style.brand;
  const footer = [say(style.language, 'mail.footer', { brand }), ...(url ? [url] : [])].join('\n');
  const text = paragraphs.map((part) => (typeof part === 'string' ? part : String(part.url)));
  return {
    subject,
    text: `${text.join('\n\n')}\n\n${footer}\n`,
    html: htmlOf(style, subject, paragraphs),
  };
}

/**
 * Only buttons have colours of their own: everything else has those of the mail program, light or dark.
 * Styles stand in attributes, since many programs drop the others.
 */
function htmlOf(
  { brand, language }: MailStyle,
  subject: string,
  paragraphs: MailContent['paragraphs'],
): string {
  const color = readableOn(WHITE, brand.color);
  const name = escapeHtml(brand.name);
  const head =
    brand.url === undefined
      ? name
      : `<a href="${escapeHtml(brand.url)}" style="color: inherit; text-decoration: none">${name}</a>`;
  const parts = paragraphs.map((part) => {
    if (typeof part === 'string') return `<p>${escapeHtml(part)}</p>`;
    const url = escapeHtml(String(part.url));
    return `<p><a href="${url}" style="display: inline-block; padding: 10px 18px; border-radius: 6px; background: ${color}; color: ${WHITE}; font-weight: 600; text-decoration: none">${escapeHtml(part.button)}</a></p>
<p style="font-size: 13px; overflow-wrap: anywhere"><a href="${url}">${url}</a></p>`;
  });
  return `<!doctype html>
<html lang="${language.tag}" dir="${language.direction}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>${escapeHtml(subject)}</title></head>
<body style="margin: 0; padding: 24px 16px; font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<p style="font-size: 18px; font-weight: 700">${head}</p>
${parts.join('\n')}
<p style="margin-top: 32px; font-size: 13px; opacity: .8">${escapeHtml(say(language, 'mail.footer', { brand: brand.name }))}</p>
</div></body></html>
`;
}

/** White space, control characters, and the characters that change the direction of text. */
const LAYOUT = /[\s\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** Puts text that people typed on one line, so that it can't pass for a paragraph of ours. */
export function oneLine(text: string): string {
  return text.replace(LAYOUT, ' ').trim();
}

/** A scheme, the usual host, an address, or a word after a dot, in whatever script. */
const LINK = /:\/\/|\bwww\.|\S@\S|[^\s.]\.\p{L}[\p{L}\p{M}]/iu;
/** The version of a program, as in `Chrome/126.0.6478.127`. */
const VERSION = /\/\d{1,4}(\.\d{1,5}){1,3}/g;
/** Seven digits, with what stands between the digits of a number. */
const TELEPHONE = /(?:\p{Nd}[\s()./‐-―-]*){7}/u;

/**
 * Returns the name, or an empty text if mail programs would turn it into a link: anyone can make us
 * write to any address, and must not choose where our mail leads.
 */
export function unlessLink(name: string): string {
  // Normalised as mail programs and browsers do: other full stops, wide letters, invisible characters.
  const read = name
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .replaceAll('。', '.');
  return LINK.test(read) || TELEPHONE.test(read.replace(VERSION, '')) ? '' : name;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Returns a name in quotation marks after a space, or an empty text if it must not be shown. */
export function quoted(language: Language, text: string): string {
  const line = unlessLink(oneLine(text));
  return line === '' ? '' : say(language, 'mail.quoted', { text: line });
}
