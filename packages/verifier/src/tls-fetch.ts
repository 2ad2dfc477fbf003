import { Agent, request } from 'node:https';
import { Readable } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';

/** In PEM: whom to trust, and with what to show who calls. */
export type TlsFiles = Pick<SecureContextOptions, 'ca' | 'cert' | 'key'>;

/** `fetch`, as far as a verifier needs it, with certificates, of which node's own can't be told. */
export function fetchByTls({ ca, cert, key }: TlsFiles): typeof fetch {
  const agent = new Agent({ ca, cert, key, keepAlive: true });
  return (input, { method = 'GET', headers = {}, body, signal } = {}) =>
    new Promise((resolve, reject) => {
      const options = { agent, method, headers: Object.fromEntries(new Headers(headers)) };
      const asked = request(String(input), signal ? { ...options, signal } : options);
      asked.on('error', reject).on('response', (answer) => {
        const { statusCode: status = 0 } = answer;
        if (status >= 200 && status < 600 && !HAVE_NO_BODY.has(status) && !isRedirect(status)) {
          const responseHeaders = new Headers();
          for (const [name, values = []] of Object.entries(answer.headersDistinct)) {
            for (const value of values) responseHeaders.append(name, value);
          }
          const text = Readable.toWeb(answer) as ReadableStream<Uint8Array>;
          resolve(new Response(text, { status, headers: responseHeaders }));
          return;
        }
        asked.destroy();
        reject(new TypeError(`${String(input)} answered ${status}`));
      });
      asked.end(body);
    });
}

const HAVE_NO_BODY = new Set([204, 205, 304]);

/** Another address is not followed: it would get the verifier's credential. */
function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}
