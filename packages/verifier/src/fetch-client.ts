import type { UniversalClientFn } from '@connectrpc/connect/protocol';

/**
 * Calls by `fetch`. A request is gathered before it is sent: node's `fetch` sends a stream only half-duplex,
 * and what a verifier asks is short.
 */
export function fetchClient(fetchFn: typeof fetch): UniversalClientFn {
  return async ({ url, method, header, body, signal }) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body ?? []) chunks.push(chunk);
    const answer = await fetchFn(url, {
      method,
      headers: header,
      redirect: 'error',
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      ...(signal && { signal }),
    });
    return {
      status: answer.status,
      header: answer.headers,
      body: bytesOf(answer),
      trailer: new Headers(),
    };
  };
}

async function* bytesOf({ body }: Response): AsyncGenerator<Uint8Array> {
  for await (const chunk of body ?? []) yield chunk;
}
