import { randomBytes } from 'node:crypto';
import { escapeHtml } from '../mail/compose.ts';
import type { Brand } from '../texts/brand.ts';
import { docsPageScript } from './docs-page-script.ts';
import { programFile } from './program-file.ts';
import type { Answer, Endpoint } from './sidecar.ts';

const SCRIPT = 'swagger-ui-bundle.js';
const STYLESHEET = 'swagger-ui.css';

/** Small, and under other names than Swagger UI's. */
const STYLE = `
:root { color-scheme: light; }
body { margin: 0; background: #fff; }
.start { max-width: 1460px; margin: 0 auto; padding: 1rem 20px 0; box-sizing: border-box; color: #3b4151; font: 1rem/1.5 sans-serif; }
.start button { padding: .4rem .8rem; font: inherit; cursor: pointer; }
.start [role=status] { overflow-wrap: anywhere; }
`;

const START = `<p>What signs in here (Login, CompleteMfa, RefreshToken) signs in the calls after it. An API key or a token goes into <b>Authorize</b>.</p>`;
const START_EMBEDDED = `<p><button type="button" id="newcomer">Sign in with a new account</button> Or sign up below, and <a href="/dev/mailbox" target="_blank" rel="noopener">read the mail</a>.</p>`;

/**
 * The contract as OpenAPI and as a page to read and try it on, by their paths. `isEmbedded`: a new account
 * can be had at once, by the mailbox of this machine.
 */
export function docsPages(options: { brand: Brand; isEmbedded: boolean }): [string, Endpoint][] {
  // Beside the bundle, and beside the source.
  const ofSwaggerUi = (name: string) => [
    `../swagger-ui/${name}`,
    `../../node_modules/swagger-ui-dist/${name}`,
  ];
  const document = ['../openapi.json', '../../gen/openapi.json'];
  return [
    ['/openapi.json', programFile(document, 'application/json')],
    ['/docs', () => docsPage(options)],
    [`/docs/${SCRIPT}`, programFile(ofSwaggerUi(SCRIPT), 'text/javascript; charset=utf-8')],
    [`/docs/${STYLESHEET}`, programFile(ofSwaggerUi(STYLESHEET), 'text/css; charset=utf-8')],
  ];
}

/** Not in the frame of the other pages: their styles are not Swagger UI's. */
function docsPage({ brand, isEmbedded }: { brand: Brand; isEmbedded: boolean }): Answer {
  // Names the files too, which not all browsers let in by their hashes.
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    // The arrows in Swagger UI's stylesheet.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    body: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>API – ${escapeHtml(brand.name)}</title><link rel="icon" href="data:,"><link rel="stylesheet" nonce="${nonce}" href="/docs/${STYLESHEET}"><style nonce="${nonce}">${STYLE}</style></head>
<body><div class="start">${START}${isEmbedded ? START_EMBEDDED : ''}<p id="said" role="status"></p><noscript><p>This page needs JavaScript; the contract is at <a href="/openapi.json">/openapi.json</a>.</p></noscript></div>
<main id="api"></main>
<script nonce="${nonce}" src="/docs/${SCRIPT}"></script>
<script nonce="${nonce}">${docsPageScript(isEmbedded)}</script>
</body></html>
`,
    headers: { 'content-security-policy': policy },
  };
}
