import { escapeHtml } from '../mail/compose.ts';
import { MAX_PASSWORD_LENGTH } from '../passwords/password-policy.ts';
import type { Brand } from '../texts/brand.ts';
import { type Language, type Languages, say } from '../texts/languages.ts';
import type { PageFrame } from './page.ts';
import type { Endpoint } from './sidecar.ts';
import { TOKEN_PAGE_SCRIPT } from './token-page-script.ts';

/** The pages that links in mails lead to, and the methods that take their tokens. */
const PAGES = [
  { path: '/verify-email', name: 'verify_email', method: 'AuthService/VerifyEmail' },
  { path: '/reset-password', name: 'reset_password', method: 'AuthService/ResetPassword' },
  {
    path: '/confirm-email-change',
    name: 'confirm_email_change',
    method: 'AccountService/ConfirmEmailChange',
  },
  { path: '/secure-account', name: 'secure_account', method: 'AuthService/SecureAccount' },
] as const;

type Page = (typeof PAGES)[number];

type Parts = {
  frame: PageFrame;
  languages: Languages;
  brand: Brand;
  /** How long a password is at least. */
  minLength: number;
};

/**
 * The pages that links in mails lead to, by path, in the language of the browser. They ask for a click,
 * since mail scanners open links: to open a link does not use up its token.
 */
export function tokenPages(parts: Parts): [string, Endpoint][] {
  return PAGES.map((page) => [page.path, (req) => tokenPage(parts, page, req.headers)]);
}

function tokenPage(
  parts: Parts,
  page: Page,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): ReturnType<PageFrame['page']> {
  const language = parts.languages.choose(String(headers['accept-language'] ?? ''));
  const title = say(language, `page.${page.name}.title`);
  const fields = page.name === 'reset_password' ? passwordField(language, parts.minLength) : '';
  const texts = escapeHtml(JSON.stringify(scriptTexts(language, page, parts.minLength)));
  const main = `<main data-texts="${texts}">
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(say(language, `page.${page.name}.text`))}</p>
<form data-method="/countersign.v1.${page.method}" novalidate>
${fields}
<button id="submit">${escapeHtml(say(language, `page.${page.name}.button`))}</button>
</form>
<p id="result" role="status" tabindex="-1"></p>
<p id="next" hidden>${nextLink(language, parts.brand)}</p>
<noscript><p class="bad">${escapeHtml(say(language, 'page.no_script'))}</p></noscript>
</main>`;
  return parts.frame.page({ language, title, main, script: TOKEN_PAGE_SCRIPT });
}

function nextLink(language: Language, { name: brand, appUrl }: Brand): string {
  if (appUrl === undefined) return '';
  const text = escapeHtml(say(language, 'page.continue', { brand }));
  return `<a class="button" href="${escapeHtml(appUrl)}">${text}</a>`;
}

function passwordField(language: Language, min: number): string {
  const text = (key: 'label' | 'show') => escapeHtml(say(language, `page.password.${key}`));
  return `<label for="password">${text('label')}</label>
<div class="field"><input id="password" type="password" name="newPassword" autocomplete="new-password" required aria-describedby="hint reason" autocapitalize="none" spellcheck="false"><button type="button" class="plain" id="show" aria-controls="password">${text('show')}</button></div>
<p id="reason" role="status"></p>
<p id="hint" class="quiet">${escapeHtml(say(language, 'page.password.hint', { min }))}</p>`;
}

/** What the page's script says. */
function scriptTexts(language: Language, { name }: Page, min: number) {
  return {
    min,
    max: MAX_PASSWORD_LENGTH,
    done: say(language, `page.${name}.done`),
    no_token: say(language, 'page.no_token'),
    failed: say(language, 'page.failed'),
    show: say(language, 'page.password.show'),
    hide: say(language, 'page.password.hide'),
    too_short: say(language, 'page.password.too_short'),
    too_long: say(language, 'page.password.too_long'),
    repeated: say(language, 'page.password.repeated'),
    sequence: say(language, 'page.password.sequence'),
    long_enough: say(language, 'page.password.long_enough'),
    refused: say(language, 'page.password.refused'),
    errors: {
      TOKEN_INVALID: say(language, 'page.error.TOKEN_INVALID'),
      TOKEN_EXPIRED: say(language, 'page.error.TOKEN_EXPIRED'),
      RATE_LIMITED: say(language, 'page.error.RATE_LIMITED'),
    },
  };
}
