import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { noteSecret, noteSecrets } from './logs.ts';
import type { Service } from './service.ts';

const COOKIE = '__Host-countersign';

/** What a browser has for a site: the cookie that the service gave it, which no page can read. */
export type Jar = { cookie?: string };

/** The headers of a page's call. Undefined: not sent. */
export type PageHeaders = Record<string, string | undefined>;

/** A page of the service's own origin, as a browser with this jar shows it. */
export class Page {
  readonly jar: Jar;
  /** Every `Set-Cookie` that it was sent. */
  readonly setCookies: string[] = [];
  readonly #service: Service;
  readonly #headers: PageHeaders;

  constructor(service: Service, jar: Jar = {}, headers: PageHeaders = {}) {
    this.jar = jar;
    this.#service = service;
    this.#headers = {
      'x-countersign-session': 'cookie',
      origin: service.app.publicUrl,
      'sec-fetch-site': 'same-origin',
      ...headers,
    };
  }

  get auth(): Client<typeof AuthService> {
    return this.client(AuthService);
  }

  client<S extends DescService>(
    service: S,
    protocol: 'connect' | 'grpc-web' = 'connect',
    accessToken?: string,
  ): Client<S> {
    const interceptors: Interceptor[] = [noteSecrets, this.#browser(accessToken)];
    const options = {
      baseUrl: `http://${this.#service.app.httpAddress}`,
      httpVersion: '1.1' as const,
      interceptors,
    };
    const create = protocol === 'connect' ? createConnectTransport : createGrpcWebTransport;
    return createClient(service, create(options));
  }

  #browser(accessToken: string | undefined): Interceptor {
    return (next) => async (req) => {
      for (const [name, value] of Object.entries(this.#headers)) {
        if (value !== undefined) req.header.set(name, value);
      }
      if (this.jar.cookie) req.header.set('cookie', `a=b; ${COOKIE}=${this.jar.cookie}; c`);
      if (accessToken) req.header.set('authorization', `Bearer ${accessToken}`);
      const res = await next(req);
      for (const text of res.header.getSetCookie()) this.#keep(text);
      return res;
    };
  }

  #keep(text: string): void {
    this.setCookies.push(text);
    const [pair = '', ...attributes] = text.split('; ');
    const [name, value = ''] = pair.split('=');
    if (name !== COOKIE) throw new Error(`the cookie ${name} is not ours`);
    noteSecret(value);
    if (attributes.includes('Max-Age=0')) delete this.jar.cookie;
    else this.jar.cookie = value;
  }
}
