import { isAddress } from '../../accounts/check-email.ts';
import type { ProviderSettings } from '../../federation/provider-settings.ts';
import { isListedRedirect } from '../../federation/redirect-uris.ts';
import { TEST_PROVIDER_PATH } from '../../federation/test-provider.ts';
import type { Clock } from '../../platform/clock.ts';
import { languageOf } from '../../texts/languages.ts';
import type { OAuthEndpoint } from '../oauth/oauth-door.ts';
import type { PageFrame } from '../page.ts';
import { type Answer, type Endpoint, json } from '../sidecar.ts';
import { forThisMachine } from '../this-machine.ts';
import { TestProvider } from './test-provider.ts';

const ENGLISH = languageOf('en', {});
const NOT_HERE = 'the test provider is for its own machine only';
/** What S256 makes of a verifier: RFC 7636, section 4.2. */
const CHALLENGE = /^[\w-]{43}$/;

const MAIN = `<main>
<h1>Test provider</h1>
<p>It stands for Google, GitHub or your own, and believes whatever you enter.</p>
<form id="sign-in">
<label for="email">Address</label>
<input id="email" name="email" type="email" autocomplete="email" required>
<label for="name">Name</label>
<input id="name" name="name" autocomplete="name">
<p><button>Sign in</button> <button type="button" class="plain" id="decline">Decline</button></p>
</form>
<noscript><p class="bad">This page needs JavaScript.</p></noscript>
</main>`;

/** The page's policy lets no form be sent: it goes on by itself. */
const SCRIPT = `
const goOn = (entered) => {
  const asked = new URLSearchParams(location.search);
  for (const [name, value] of entered) asked.set(name, value);
  location.assign('?' + asked);
};
document.getElementById('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  goOn(new FormData(event.target));
});
document.getElementById('decline').addEventListener('click', () => goOn([['decline', '1']]));
`;

/**
 * The pages of the test provider, which callers on its own machine get, and its token endpoint. That one needs
 * no guard: codes and their verifiers are known on the machine only.
 */
export function testProviderEndpoints(settings: ProviderSettings, clock: Clock, frame: PageFrame) {
  const provider = new TestProvider(settings, clock);
  const pages: [string, Endpoint][] = [
    ['/.well-known/openid-configuration', () => json(200, provider.discovery())],
    ['/keys', () => json(200, provider.keySet())],
    ['/authorize', ({ url = '' }) => authorize(provider, settings, frame, url)],
  ];
  const token: OAuthEndpoint = async ({ form }) => ({
    body: JSON.stringify(await provider.redeem(form)),
  });
  return {
    pages: pages.map(([path, endpoint]): [string, Endpoint] => [
      TEST_PROVIDER_PATH + path,
      forThisMachine(endpoint, NOT_HERE),
    ]),
    token: new Map([[`${TEST_PROVIDER_PATH}/token`, token]]),
  };
}

/**
 * Asks who is there, and sends them back once they have said so: in the query, so that scripts can say it
 * at once, by `email`.
 */
function authorize(
  provider: TestProvider,
  { issuer, clientId, redirectUris }: ProviderSettings,
  frame: PageFrame,
  url: string,
): Answer {
  const query = new URL(url, issuer).searchParams;
  const redirectUri = query.get('redirect_uri') ?? '';
  const challenge = query.get('code_challenge') ?? '';
  const isOwn = query.get('client_id') === clientId && isListedRedirect(redirectUris, redirectUri);
  const isCode = query.get('response_type') === 'code';
  if (!isOwn || !isCode || !CHALLENGE.test(challenge)) {
    return json(400, { error: 'this is no request that the service made: begin again there' });
  }
  const state = query.get('state') ?? '';
  const back = (answer: Record<string, string>): Answer => {
    const location = `${redirectUri}?${new URLSearchParams({ ...answer, state, iss: issuer })}`;
    return { status: 302, type: 'text/plain', body: '', headers: { location } };
  };
  if (query.has('decline')) return back({ error: 'access_denied' });
  const email = query.get('email') ?? '';
  if (!isAddress(email)) {
    return frame.page({ language: ENGLISH, title: 'Test provider', main: MAIN, script: SCRIPT });
  }
  const said = { email, name: query.get('name') ?? '', nonce: query.get('nonce') ?? '' };
  return back({ code: provider.codeFor({ ...said, redirectUri, challenge }) });
}
