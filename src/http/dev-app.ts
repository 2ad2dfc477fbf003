import { languageOf } from '../texts/languages.ts';
import { DEV_APP_SCRIPT } from './dev-app-script.ts';
import type { PageFrame } from './page.ts';
import type { Endpoint } from './sidecar.ts';
import { forThisMachine } from './this-machine.ts';

const ENGLISH = languageOf('en', {});

const MAIN = `<main>
<h1>Try it</h1>
<p id="result" role="status" tabindex="-1"></p>
<section id="signed-out" hidden>
<form id="sign-in">
<label for="email">Address</label>
<input id="email" name="email" type="email" autocomplete="username webauthn" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<p id="ways"><button>Sign in</button> <button type="button" class="plain" id="sign-up">Sign up</button> <button type="button" class="plain" id="passkey">Sign in with a passkey</button></p>
<p id="providers"></p>
</form>
<p class="quiet">Mail does not leave this machine: <a href="/dev/mailbox">read it here</a>.</p>
</section>
<form id="second-factor" hidden>
<label for="code">Code of your authenticator app</label>
<input id="code" name="totpCode" inputmode="numeric" autocomplete="one-time-code" required>
<button>Go on</button>
</form>
<section id="signed-in" hidden>
<p>Signed in as <strong id="who"></strong>.</p>
<p><button type="button" id="add-passkey" class="plain">Add a passkey</button> <button type="button" id="sign-out">Sign out</button></p>
<h2>Sessions</h2>
<table><thead><tr><th scope="col">Device</th><th scope="col">Last used</th><th scope="col">End</th></tr></thead><tbody id="sessions"></tbody></table>
</section>
<noscript><p class="bad">This page needs JavaScript.</p></noscript>
</main>`;

/** A page to try the service with, on its own machine: the example of docs/browser.md. */
export function devApp(frame: PageFrame): [string, Endpoint] {
  const content = { language: ENGLISH, title: 'Try it', main: MAIN, script: DEV_APP_SCRIPT };
  const error = 'this page is shown on its own machine only';
  return ['/dev/app', forThisMachine(() => frame.page(content), error)];
}
