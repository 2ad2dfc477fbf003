/** Shows the contract, and gives each call the token of the sign-in before it. */
const SHOW = `
const say = (text) => (document.getElementById('said').textContent = text);

function signIn(accessToken) {
  ui.preauthorizeApiKey('accessToken', accessToken);
  say('Signed in, for as long as the access token lasts.');
}

const ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  docExpansion: 'none',
  defaultModelsExpandDepth: 0,
  filter: true,
  tryItOutEnabled: true,
  // Nothing is sent to anyone else.
  validatorUrl: null,
  responseInterceptor: (answer) => {
    const accessToken = answer.body?.tokens?.accessToken;
    if (accessToken) signIn(accessToken);
    return answer;
  },
});
`;

/** Makes an account by the same calls that the page shows. */
const NEWCOMER = `
async function call(method, request) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(request);
  const answer = await fetch('/countersign.v1.AuthService/' + method, { method: 'POST', headers, body });
  const message = await answer.json();
  if (!answer.ok) throw new Error(method + ': ' + message.message);
  return message;
}

async function tokenMailedTo(email) {
  for (let tries = 0; tries < 60; tries += 1) {
    const mails = await (await fetch('/dev/mailbox.json')).json();
    const mail = mails.find(({ to }) => to === email);
    if (mail) return /#token=(\\S+)/.exec(mail.text)[1];
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('no mail came; see /dev/mailbox');
}

async function newcomer() {
  const email = 'docs-' + Date.now() + '@example.com';
  const password = crypto.randomUUID();
  await call('SignUp', { email, password, displayName: 'Reader' });
  say('Waiting for the mail to ' + email);
  await call('VerifyEmail', { token: await tokenMailedTo(email) });
  const { tokens } = await call('Login', { email, password, deviceLabel: 'the API page' });
  signIn(tokens.accessToken);
  say('Signed in as ' + email + ', with the password ' + password);
}

const button = document.getElementById('newcomer');
button.addEventListener('click', async () => {
  button.disabled = true;
  await newcomer().catch((error) => say(error.message));
  button.disabled = false;
});
`;

export function docsPageScript(isEmbedded: boolean): string {
  return isEmbedded ? SHOW + NEWCOMER : SHOW;
}
