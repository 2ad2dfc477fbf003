import { createHash } from 'node:crypto';
import { type Endpoint, page } from './sidecar.ts';

/** The token is in the fragment, which browsers do not send; the page posts it on a click. */
const SCRIPT = `
const token = new URLSearchParams(location.hash.slice(1)).get('token');
const form = document.querySelector('form');
const button = document.querySelector('button');
const result = document.querySelector('output');
history.replaceState(null, '', location.pathname);
button.disabled = !token;
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  const failed = 'The service cannot be reached. Try again.';
  const answer = await fetch(form.dataset.method, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), token }),
  }).catch(() => undefined);
  const error = answer?.ok ? undefined : await answer?.json().catch(() => undefined);
  result.textContent = answer?.ok ? form.dataset.done : (error?.message ?? failed);
  button.disabled = answer?.ok === true;
});
`;

const sha256 = createHash('sha256').update(SCRIPT).digest('base64');

type TokenPage = {
  title: string;
  text: string;
  button: string;
  /** The path of the method that takes the token. */
  method: string;
  done: string;
  /** More fields of its request, as HTML. */
  fields?: string;
};

/**
 * The pages that links in mails lead to, by path. They ask for a click, since mail scanners open links:
 * to open a link does not use up its token.
 */
export const tokenPages: readonly [string, Endpoint][] = [
  [
    '/verify-email',
    tokenPage({
      title: 'Confirm your address',
      text: 'One click, and your address is confirmed.',
      button: 'Confirm',
      method: '/countersign.v1.AuthService/VerifyEmail',
      done: 'Your address is confirmed. You can sign in now.',
    }),
  ],
  [
    '/reset-password',
    tokenPage({
      title: 'Set a new password',
      text: 'This signs you out everywhere. Then sign in with the new password.',
      button: 'Set the password',
      method: '/countersign.v1.AuthService/ResetPassword',
      done: 'Your password is set. You can sign in now.',
      fields:
        '<p><label>New password <input type="password" name="newPassword" autocomplete="new-password" required></label></p>',
    }),
  ],
  [
    '/confirm-email-change',
    tokenPage({
      title: 'Confirm your new address',
      text: 'One click, and you sign in with this address from now on.',
      button: 'Confirm',
      method: '/countersign.v1.AccountService/ConfirmEmailChange',
      done: 'Your address is changed.',
    }),
  ],
  [
    '/secure-account',
    tokenPage({
      title: "This wasn't me",
      text: 'This signs everybody out of your account, undoes what the mail is about and whatever was added to your account since, and mails you a link to set a new password. The old password and API keys stop working.',
      button: 'Secure my account',
      method: '/countersign.v1.AuthService/SecureAccount',
      done: 'Your account is secured. A mail that says what to do next is on its way.',
    }),
  ],
];

function tokenPage({ title, text, button, method, done, fields = '' }: TokenPage): Endpoint {
  const body = `<h1>${title}</h1>
<p>${text}</p>
<form data-method="${method}" data-done="${done}">
${fields}
<button>${button}</button>
</form>
<p><output></output></p>`;
  return () => page(body, { text: SCRIPT, sha256 });
}
