export type RenderedMail = { subject: string; text: string; html: string };

/** Renders a mail of paragraphs, as text and as HTML. A link is a separate paragraph. */
export function compose(subject: string, paragraphs: (string | URL)[]): RenderedMail {
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
export function quoted(text: string): string {
  const line = unlessLink(oneLine(text));
  return line === '' ? '' : ` “${line}”`;
}
