import { noteSecret } from '../harness/logs.ts';
import type { Service } from '../harness/service.ts';

/** What an endpoint answered. */
export type Told = { status: number; headers: Headers; body: Record<string, unknown> };

/** Posts a form to an endpoint. Parameters are a list if names come twice. */
export async function post(
  at: Service,
  path: string,
  form: Record<string, string> | [string, string][],
  headers: Record<string, string> = {},
): Promise<Told> {
  const answer = await fetch(`http://${at.app.httpAddress}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form).toString(),
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type') === 'application/json';
  const body = isJson ? JSON.parse(text) : { text };
  if (body['access_token'] !== undefined) noteSecret(body['access_token']);
  return { status: answer.status, headers: answer.headers, body };
}

export const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
