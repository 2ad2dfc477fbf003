import { boundedBody } from '../platform/bounded-body.ts';

const MAX_BYTES = 1024 * 1024;

/** What a server answered: its text if that is of a reasonable size, and how long (ms) it took. */
export type Document = { status: number; text: string; ms: number };

/** Fetches a document, and follows no redirect, as the service does. Throws if there is no answer. */
export async function documentAt(url: string, signal: AbortSignal): Promise<Document> {
  const startedAt = performance.now();
  const response = await fetch(url, {
    headers: { 'user-agent': 'countersign doctor' },
    redirect: 'manual',
    signal,
  });
  const body = await boundedBody(response, MAX_BYTES);
  const text = body?.toString() ?? '';
  return { status: response.status, text, ms: performance.now() - startedAt };
}

/** The object that a text is in JSON: an empty one if it is none. */
export function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

export function discoveryOf(issuer: string): string {
  return `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
}
