/** The credential that a client's request shows. */
export type Presented =
  | { kind: 'none' }
  | { kind: 'unreadable' }
  | { kind: 'token' | 'api_key'; secret: string };

const NONE: Presented = { kind: 'none' };
const UNREADABLE: Presented = { kind: 'unreadable' };

/**
 * Returns the credential in a request, from all values of its `authorization` and `x-api-key` headers.
 * More than one value of either is unreadable, also if a proxy has joined them by commas: what is behind
 * the proxy might read another one of them. `authorization` counts if there are both, and a bad one is
 * not made up for by a good key.
 */
export function presentedBy(
  authorization: readonly string[],
  apiKeys: readonly string[],
): Presented {
  if (authorization.length > 1 || apiKeys.length > 1) return UNREADABLE;
  const [header] = authorization;
  const [apiKey] = apiKeys;
  if (header?.includes(',') || apiKey?.includes(',')) return UNREADABLE;
  if (header !== undefined) return bearer(header);
  return apiKey === undefined ? NONE : { kind: 'api_key', secret: apiKey };
}

/** RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). */
function bearer(header: string): Presented {
  const secret = /^bearer +(\S+)$/i.exec(header)?.[1];
  if (secret === undefined) return UNREADABLE;
  return { kind: secret.startsWith('csk_') ? 'api_key' : 'token', secret };
}
