import { createHash } from 'node:crypto';
import { escapeHtml } from '../mail/compose.ts';
import type { Brand } from '../texts/brand.ts';
import type { Language } from '../texts/languages.ts';
import type { Answer } from './sidecar.ts';
import { stylesheet } from './stylesheet.ts';

export type PageContent = {
  language: Language;
  title: string;
  /** HTML. */
  main: string;
  /** The only script that runs. Nothing in it may come from a caller. */
  script?: string;
  /** For tables and mails. */
  isWide?: boolean;
};

/** The form of all HTML pages: the operator's name and colour, and what may load and run there. */
export class PageFrame {
  readonly #brand: Brand;
  readonly #style: string;
  readonly #styleSource: string;

  constructor(brand: Brand) {
    this.#brand = brand;
    this.#style = stylesheet(brand.color);
    this.#styleSource = sourceOf(this.#style);
  }

  page({ language, title, main, script, isWide = false }: PageContent): Answer {
    const { name, url } = this.#brand;
    const brand = escapeHtml(name);
    const policy = [
      "default-src 'none'",
      `style-src ${this.#styleSource}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      ...(script === undefined ? [] : [`script-src ${sourceOf(script)}`, "connect-src 'self'"]),
    ].join('; ');
    return {
      status: 200,
      type: 'text/html; charset=utf-8',
      body: `<!doctype html>
<html lang="${language.tag}" dir="${language.direction}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)} – ${brand}</title><style>${this.#style}</style></head>
<body${isWide ? ' class="wide"' : ''}><header>${url === undefined ? brand : `<a href="${escapeHtml(url)}">${brand}</a>`}</header>
${main}
${script === undefined ? '' : `<script>${script}</script>`}
</body></html>
`,
      headers: {
        'content-security-policy': policy,
        'content-language': language.tag,
        vary: 'accept-language',
      },
    };
  }
}

/** How a policy names an inline script or style: by its hash. */
function sourceOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
