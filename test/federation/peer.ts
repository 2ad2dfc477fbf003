import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { atEnd } from '../harness/at-end.ts';
import { noteSecret } from '../harness/logs.ts';

export const REDIRECT = 'https://app.example.com/signed-in';
const CLIENT = { id: 'countersign', secret: 'the-secret-of-this-client' };

type Claims = Record<string, unknown>;

/** What a provider adds to the redirect URI. */
export type Callback = { state: string; code: string; iss: string; error: string };

/** A certified OpenID provider on loopback, which signs in whomever `visit` names. */
export class Peer {
  issuer = '';
  /** Token requests, by their outcome. */
  readonly tokenRequests: ('success' | 'error')[] = [];
  readonly #people = new Map<string, Claims>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `inUserInfo`: claims come from the userinfo endpoint, and not in ID tokens. */
  static async start({
    inUserInfo = false,
    redirectUris = [REDIRECT, `${REDIRECT}/google`],
  } = {}): Promise<Peer> {
    const server = createServer();
    const peer = new Peer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    peer.issuer = `http://127.0.0.1:${port}`;
    atEnd(() => peer.stop());
    await peer.#serve(inUserInfo, redirectUris);
    return peer;
  }

  /** The settings by which a service knows it. */
  settings(more: object = {}): Record<string, unknown> {
    return {
      id: 'peer',
      display_name: 'Example',
      issuer: this.issuer,
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      redirect_uris: [REDIRECT],
      ...more,
    };
  }

  /** Lets someone sign in. Returns their subject. */
  person(claims: Claims, sub = `sub-${this.#people.size}`): string {
    this.#people.set(sub, claims);
    return sub;
  }

  /** Signs in as somebody where the service has sent them, and returns what their browser is sent back with. */
  async visit(authorizationUrl: string, sub: string): Promise<Callback> {
    const url = new URL(authorizationUrl);
    url.searchParams.set('login_hint', sub);
    const cookies = new Map<string, string>();
    let at = url.href;
    for (let hops = 0; hops < 10; hops += 1) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(at, { redirect: 'manual', headers: { cookie } });
      for (const set of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
        cookies.set(name, value);
      }
      at = new URL(response.headers.get('location') ?? '', at).href;
      if (!at.startsWith(this.issuer)) return callbackIn(at);
    }
    throw new Error('the provider did not send anyone back');
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(inUserInfo: boolean, redirectUris: string[]): Promise<void> {
    const provider = new Provider(this.issuer, await this.#configuration(inUserInfo, redirectUris));
    provider.on('grant.success', (ctx) => this.#noteTokenRequest('success', ctx.oidc.params));
    provider.on('grant.error', (ctx) => this.#noteTokenRequest('error', ctx.oidc.params));
    const callback = provider.callback();
    this.#server.on('request', async (req, res) => {
      if (!req.url?.startsWith('/interaction/')) return callback(req, res);
      const { params } = await provider.interactionDetails(req, res);
      const accountId = String(params['login_hint']);
      const { amr, acr } = this.#people.get(accountId) ?? {};
      const result =
        accountId === 'nobody'
          ? { error: 'access_denied' }
          : { login: { accountId, ...(amr ? { amr } : {}), ...(acr ? { acr } : {}) } };
      await provider.interactionFinished(req, res, result);
    });
  }

  #noteTokenRequest(outcome: 'success' | 'error', params: Claims = {}): void {
    this.tokenRequests.push(outcome);
    noteSecret(String(params['code_verifier'] ?? ''));
  }

  async #configuration(inUserInfo: boolean, redirectUris: string[]) {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    return {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: redirectUris,
          token_endpoint_auth_method: 'client_secret_post',
          id_token_signed_response_alg: 'ES256',
        },
      ],
      jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'one' }] },
      claims: {
        openid: ['sub', 'acr', 'amr'],
        email: ['email', 'email_verified'],
        profile: ['name'],
      },
      conformIdTokenClaims: inUserInfo,
      pkce: { required: () => true },
      cookies: { keys: ['a key for the cookies of a test'] },
      features: { devInteractions: { enabled: false } },
      interactions: {
        url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}`,
      },
      ttl: {
        AccessToken: 60,
        AuthorizationCode: 60,
        Grant: 60,
        IdToken: 60,
        Interaction: 60,
        Session: 60,
      },
      findAccount: (_ctx: unknown, sub: string) => ({
        accountId: sub,
        claims: () => ({ sub, ...this.#people.get(sub) }),
      }),
      loadExistingGrant: async (ctx: {
        oidc: {
          provider: Provider;
          client: { clientId: string };
          session: { accountId: string };
        };
      }) => {
        const { client, session, provider } = ctx.oidc;
        const grant = new provider.Grant({
          clientId: client.clientId,
          accountId: session.accountId,
        });
        grant.addOIDCScope('openid email profile');
        await grant.save();
        return grant;
      },
    };
  }
}

/** The parameters of a redirect. */
function callbackIn(url: string): Callback {
  const { searchParams: query } = new URL(url);
  const [state, code, iss, error] = ['state', 'code', 'iss', 'error'].map(
    (name) => query.get(name) ?? '',
  ) as [string, string, string, string];
  return { state, code, iss, error };
}
