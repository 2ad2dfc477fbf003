import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { atEnd } from '../harness/at-end.ts';
import { noteSecret } from '../harness/logs.ts';
import { accountOf, newEmail, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { REDIRECT } from './peer.ts';
import { startFederatedService } from './people.ts';

const TOKEN = 'gho_a-token-of-github';

/** An installation of GitHub Enterprise Server, as far as signing in goes. */
class Github {
  issuer = '';
  user: unknown;
  emails: unknown;
  /** An error in place of a token, which GitHub sends with status 200. */
  error: string | undefined;
  readonly #challenges = new Map<string, string>();
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    this.issuer = `http://127.0.0.1:${port}/login/oauth`;
    this.#server.on('request', (req, res) => void this.#answer(req, res));
    atEnd(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
  }

  visit(authorizationUrl: string) {
    const { pathname, searchParams: query } = new URL(authorizationUrl);
    assert.equal(pathname, '/login/oauth/authorize');
    assert.equal(query.get('scope'), 'read:user user:email');
    assert.equal(query.get('code_challenge_method'), 'S256');
    const code = `code-of-github-${this.#challenges.size}`;
    noteSecret(code);
    this.#challenges.set(code, query.get('code_challenge') ?? '');
    return { state: query.get('state') ?? '', code, iss: '', error: '' };
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await this.#bodyOf(req);
    res.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(body ?? { message: 'Not Found' }));
  }

  async #bodyOf(req: IncomingMessage): Promise<unknown> {
    const url = new URL(req.url ?? '', this.issuer);
    if (url.pathname === '/login/oauth/access_token') return this.#token(req);
    assert.equal(req.headers.authorization, `Bearer ${TOKEN}`);
    if (url.pathname === '/api/v3/user') return this.user;
    if (url.pathname !== '/api/v3/user/emails' || !Array.isArray(this.emails)) return undefined;
    return this.emails.slice(0, Number(url.searchParams.get('per_page') ?? 30));
  }

  async #token(req: IncomingMessage): Promise<unknown> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const verifier = form.get('code_verifier') ?? '';
    noteSecret(verifier);
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const isRight = this.#challenges.get(form.get('code') ?? '') === challenge;
    if (this.error || !isRight) return { error: this.error ?? 'bad_verification_code' };
    return { access_token: TOKEN, token_type: 'bearer', scope: 'read:user,user:email' };
  }
}

let github: Github;
let service: Service;
let people = 1000;

before(async () => {
  github = new Github(createServer());
  await github.listen();
  const provider = {
    id: 'github',
    preset: 'github',
    issuer: github.issuer,
    client_id: 'Iv1.0123456789abcdef',
    client_secret: 'the-secret-of-an-app',
    redirect_uris: [REDIRECT],
  };
  service = await startFederatedService([provider]);
});

/** Has somebody else sign in from now on. */
function person(emails: (email: string) => unknown = primary, user: object = {}): string {
  const email = newEmail();
  people += 1;
  github.user = { id: people, login: `user-${people}`, name: 'Robin', ...user };
  github.emails = emails(email);
  github.error = undefined;
  return email;
}

const primary = (email: string): unknown => [
  { email: newEmail(), primary: false, verified: true },
  { email, primary: true, verified: true },
];

async function login(more: { iss?: string; code?: string } = {}) {
  const begin = { provider: 'github', redirectUri: REDIRECT };
  const { authorizationUrl, loginToken } = await service.auth.startFederatedLogin(begin);
  const answer = { ...github.visit(authorizationUrl), ...more, loginToken };
  const { outcome } = await service.auth.finishFederatedLogin(answer);
  if (outcome.case !== 'tokens') throw new Error('no tokens');
  return outcome.value;
}

describe('GitHub', () => {
  it('signs up someone by their primary address, and knows them by their number', async () => {
    const email = person();
    const first = await login();
    const account = accountOf(service, first);
    const { user } = await account.getMe({});
    assert.deepEqual([user?.email, user?.displayName], [email, 'Robin']);
    const [identity] = (await account.listIdentities({})).identities;
    assert.deepEqual([identity?.subject, identity?.issuer], [String(people), github.issuer]);
    github.user = { id: people, login: 'renamed', name: null };
    github.emails = [];
    assert.equal(userIdOf(await login()), userIdOf(first));
  });

  it('signs up someone whose primary address comes after many others', async () => {
    const others = Array.from({ length: 60 }, () => ({
      email: newEmail(),
      primary: false,
      verified: true,
    }));
    const email = person((primary) => [
      ...others,
      { email: primary, primary: true, verified: true },
    ]);
    const { user } = await accountOf(service, await login()).getMe({});
    assert.equal(user?.email, email);
  });

  it('F02 gives no verified address if it is not the primary one, or can not be read', async () => {
    const lists: ((email: string) => unknown)[] = [
      (email) => [{ email, primary: true, verified: false }],
      (email) => [{ email, primary: false, verified: true }],
      (email) => [{ email, primary: true, verified: 'true' }],
      (email) => ({ email }),
      () => undefined,
    ];
    for (const list of lists) {
      person(list);
      assert.equal((await refusal(login())).reason, 'FEDERATED_EMAIL_UNVERIFIED');
    }
  });

  it('F02 is refused if it gives no number', async () => {
    for (const id of ['1001', -1, 1.5, 2 ** 60, null, undefined]) {
      person(primary, { id });
      assert.equal((await refusal(login())).reason, 'FEDERATED_LOGIN_REFUSED', String(id));
    }
  });

  it('F01 is refused with the code of another flow, and with another issuer', async () => {
    person();
    const begin = { provider: 'github', redirectUri: REDIRECT };
    const other = await service.auth.startFederatedLogin(begin);
    const { code } = github.visit(other.authorizationUrl);
    assert.equal((await refusal(login({ code }))).reason, 'FEDERATED_LOGIN_REFUSED');
    const iss = 'https://evil.example';
    assert.equal((await refusal(login({ iss }))).reason, 'FEDERATED_LOGIN_REFUSED');
    assert.ok(await login({ iss: github.issuer }));
  });

  it('is unavailable if it does not accept us, which it says with status 200', async () => {
    person();
    github.error = 'incorrect_client_credentials';
    const { code, reason } = await refusal(login());
    assert.deepEqual([code, reason], [Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
  });

  it('F01 requires its issuer at github.com, which announces that it names itself', async () => {
    const own = { id: 'github', preset: 'github', client_id: 'x', redirect_uris: [REDIRECT] };
    const service = await startFederatedService([own]);
    const begin = { provider: 'github', redirectUri: REDIRECT };
    const { authorizationUrl, loginToken } = await service.auth.startFederatedLogin(begin);
    assert.match(authorizationUrl, /^https:\/\/github\.com\/login\/oauth\/authorize\?/);
    const state = new URL(authorizationUrl).searchParams.get('state') ?? '';
    // Refused before anything is asked of GitHub.
    const answer = { loginToken, state, code: 'x', iss: '', error: '' };
    const refused = await refusal(service.auth.finishFederatedLogin(answer));
    assert.equal(refused.reason, 'FEDERATED_LOGIN_REFUSED');
  });
});
