/**
 * A page that keeps its session as docs/browser.md says: the refresh token in the browser's cookie, which
 * no script sees, and the access token in a variable, which is gone when the page is.
 */
export const DEV_APP_SCRIPT = `
const find = (id) => document.getElementById(id);
const views = ['signed-out', 'second-factor', 'signed-in'];
const show = (name) => views.forEach((each) => (find(each).hidden = each !== name));
const tell = (text, kind = 'good') => {
  find('result').textContent = text;
  find('result').className = kind;
};

let tokens;
let challengeToken;
let renewal;

// One call: by Connect, in JSON. The header is what keeps the refresh token in the cookie.
async function call(method, request = {}) {
  const headers = { 'content-type': 'application/json', 'x-countersign-session': 'cookie' };
  if (tokens) headers.authorization = 'Bearer ' + tokens.accessToken;
  const body = JSON.stringify(request);
  const answer = await fetch('/countersign.v1.' + method, { method: 'POST', headers, body });
  const message = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(message.message), { code: message.code });
  return message;
}

// With every page load, and a minute before the access token expires.
async function refresh() {
  tokens = undefined;
  await signedIn((await call('AuthService/RefreshToken')).tokens);
}

async function signedIn(issued) {
  tokens = issued;
  clearTimeout(renewal);
  const left = Date.parse(tokens.expiresAt) - Date.now() - 60000;
  renewal = setTimeout(() => refresh().catch(signedOut), Math.max(left, 10000));
  const { user } = await call('AccountService/GetMe');
  find('who').textContent = user.email;
  await listSessions();
  show('signed-in');
}

// A sign-in is complete, or a second factor is asked for.
async function goOn({ tokens: issued, mfa }) {
  if (issued) return signedIn(issued);
  challengeToken = mfa.challengeToken;
  show('second-factor');
}

function signedOut() {
  tokens = undefined;
  clearTimeout(renewal);
  show('signed-out');
}

async function listSessions() {
  const { sessions } = await call('SessionService/ListSessions', { pageSize: 20 });
  find('sessions').replaceChildren(...sessions.map(sessionRow));
}

function sessionRow({ sessionId, userAgent, lastUsedAt, current }) {
  const row = document.createElement('tr');
  const cells = [userAgent, new Date(lastUsedAt).toLocaleString()];
  row.append(...cells.map((text) => Object.assign(document.createElement('td'), { textContent: text })));
  const last = document.createElement('td');
  const end = Object.assign(document.createElement('button'), { type: 'button', className: 'plain', textContent: 'End' });
  on(end, 'click', async () => {
    await call('SessionService/RevokeSession', { sessionId });
    await listSessions();
  });
  last.append(current ? 'this one' : end);
  row.append(last);
  return row;
}

async function answerPasskey() {
  const { optionsJson } = await call('AuthService/BeginPasskeyLogin');
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(optionsJson));
  return JSON.stringify(await navigator.credentials.get({ publicKey }));
}

// Sends the person to a provider, and keeps what proves that it is they who come back.
async function leaveFor(provider) {
  const redirectUri = location.origin + location.pathname;
  const request = { provider, redirectUri };
  const { authorizationUrl, loginToken } = await call('AuthService/StartFederatedLogin', request);
  sessionStorage.setItem('login-token', loginToken);
  location.assign(authorizationUrl);
}

async function comeBack({ state, code, iss, error }) {
  const loginToken = sessionStorage.getItem('login-token') ?? '';
  sessionStorage.removeItem('login-token');
  const request = { loginToken, state, code, iss, error };
  await goOn(await call('AuthService/FinishFederatedLogin', request));
}

async function listProviders() {
  const { providers = [] } = await call('AuthService/ListProviders');
  const buttons = providers.map(({ provider, displayName }) => {
    const text = 'Sign in with ' + displayName;
    const button = Object.assign(document.createElement('button'), { type: 'button', className: 'plain', textContent: text });
    on(button, 'click', () => leaveFor(provider));
    return button;
  });
  find('providers').replaceChildren(...buttons.flatMap((button) => [button, ' ']));
}

// Whatever fails is said.
function on(element, event, work) {
  element.addEventListener(event, async (happening) => {
    happening.preventDefault();
    tell('');
    await work(happening).catch((error) => tell(error.message, 'bad'));
  });
}

const entered = (form) => Object.fromEntries(new FormData(form));

on(find('sign-in'), 'submit', async ({ target }) => {
  await goOn(await call('AuthService/Login', entered(target)));
});
on(find('second-factor'), 'submit', async ({ target }) => {
  const request = { challengeToken, ...entered(target) };
  await signedIn((await call('AuthService/CompleteMfa', request)).tokens);
});
on(find('sign-up'), 'click', async () => {
  if (!find('sign-in').reportValidity()) return;
  await call('AuthService/SignUp', entered(find('sign-in')));
  tell('A mail is on its way. Open its link, then sign in.');
});
on(find('passkey'), 'click', async () => {
  const credentialJson = await answerPasskey();
  await signedIn((await call('AuthService/FinishPasskeyLogin', { credentialJson })).tokens);
});
on(find('add-passkey'), 'click', async () => {
  const { optionsJson } = await call('AccountService/BeginPasskeyRegistration');
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(optionsJson));
  const credentialJson = JSON.stringify(await navigator.credentials.create({ publicKey }));
  const request = { credentialJson, displayName: 'from the page to try it' };
  await call('AccountService/FinishPasskeyRegistration', request);
  tell('The passkey is added.');
});
on(find('sign-out'), 'click', async () => {
  await call('AuthService/Logout');
  signedOut();
});

// Browsers have no passkeys for addresses.
if (location.hostname !== 'localhost') {
  find('ways').after('Passkeys work at http://localhost:' + location.port + location.pathname);
}
listProviders();
const { state, ...answer } = Object.fromEntries(new URLSearchParams(location.search));
history.replaceState(null, '', location.pathname);
if (state === undefined) {
  refresh().catch(signedOut);
} else {
  comeBack({ state, ...answer }).catch((error) => {
    signedOut();
    tell(error.message, 'bad');
  });
}
`;
