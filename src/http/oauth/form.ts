import { invalidRequest } from './oauth-error.ts';

const FORM = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** The parameters of a request, each once. One without a value counts as omitted (RFC 6749, section 3.2). */
export type Form = ReadonlyMap<string, string>;

/**
 * Reads the body of a request as a form. Throws `invalid_request` for another type of content, and for a
 * parameter that comes twice: two readers might choose different ones.
 */
export function readForm(contentType: string | undefined, body: Buffer): Form {
  if (!FORM.test(contentType ?? '')) {
    throw invalidRequest('the body must be application/x-www-form-urlencoded');
  }
  const form = new Map<string, string>();
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(body.toString())) {
    if (seen.has(name)) throw invalidRequest('a parameter comes twice; send each one once');
    seen.add(name);
    if (value !== '') form.set(name, value);
  }
  return form;
}

/** The value of a parameter, or `invalid_request` that names it. */
export function required(form: Form, name: string): string {
  const value = form.get(name);
  if (value === undefined) throw invalidRequest(`${name} is missing`);
  return value;
}
