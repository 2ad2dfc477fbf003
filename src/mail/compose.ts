export type RenderedMail = { subject: string; text: string; html: string };

/** A mail of paragraphs, in text and in HTML. Links are paragraphs of their own. */
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

/** Spaces and controls of all kinds, and what turns the direction of the text around it. */
const LAYOUT = /[\s\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** People's own words stay on their line, so that they can't pretend to be a paragraph of ours. */
export function oneLine(text: string): string {
  return text.replace(LAYOUT, ' ').trim();
}

/**
 * A name, unless mail programs would make a link of it: anybody can have us write to anybody, and is
 * not to choose where our mail leads.
 */
export function namable(name: string): string {
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

/** What people named, in quotation marks after a space, where it can be shown. */
export function quoted(text: string): string {
  const line = namable(oneLine(text));
  return line === '' ? '' : ` “${line}”`;
}
