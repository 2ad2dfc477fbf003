import { createHash } from 'node:crypto';
import { type Endpoint, page } from './sidecar.ts';

/** The token is in the fragment, which browsers keep to themselves; the page posts it on a click. */
const SCRIPT = `
const token = new URLSearchParams(location.hash.slice(1)).get('token');
const button = document.querySelector('button');
const result = document.querySelector('p');
history.replaceState(null, '', location.pathname);
button.disabled = !token;
button.addEventListener('click', async () => {
  button.disabled = true;
  const response = await fetch('/countersign.v1.AuthService/VerifyEmail', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  result.textContent = response.ok
    ? 'Your address is confirmed. You can sign in now.'
    : 'This link does not work: it was used, replaced by a newer one, or is older than 10 minutes.';
});
`;

const sha256 = createHash('sha256').update(SCRIPT).digest('base64');

/**
 * Where the links of verification mails lead. It asks for a click, since mail scanners open links:
 * an opened link alone uses no token.
 */
export const verifyEmailPageEndpoint: Endpoint = () =>
  page(
    '<h1>Confirm your address</h1>\n<p>One click, and your address is confirmed.</p>\n<button type="button">Confirm</button>',
    { text: SCRIPT, sha256 },
  );
