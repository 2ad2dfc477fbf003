import { Code, ConnectError } from '@connectrpc/connect';
import type { UniversalClientFn } from '@connectrpc/connect/protocol';

/**
 * Calls by `fetch`. A request is gathered before it is sent: node's `fetch` sends a stream only half-duplex,
 * and what a verifier asks is short.
 */
export function fetchClient(fetchFn: typeof fetch): UniversalClientFn {
  return async ({ url, method, header, body, signal }) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body ?? []) chunks.push(chunk);
    const failed = (error: unknown) => (signal?.aborted ? error : unreachable(error));
    try {
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
        body: bytesOf(answer, failed),
        trailer: new Headers(),
      };
    } catch (error) {
      throw failed(error);
    }
  };
}

async function* bytesOf(
  { body }: Response,
  failed: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body ?? []) yield chunk;
  } catch (error) {
    throw failed(error);
  }
}

/** An outage, for whoever decides by the code. `fetch` says that it failed, and only its cause says why. */
function unreachable(error: unknown): ConnectError {
  const { cause, message } = error instanceof Error ? error : new Error(String(error));
  const why = cause instanceof Error ? cause.message : message;
  const text = `Countersign could not be reached: ${why}`;
  return new ConnectError(text, Code.Unavailable, undefined, undefined, error);
}
