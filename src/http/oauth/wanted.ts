import { Failure } from '../../platform/failure.ts';
import type { Form } from './form.ts';
import { OAuthError } from './oauth-error.ts';

const MAX_SCOPES = 100;
/** RFC 6749, section 3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/;
const MAX_TARGET = 2000;

/** The scopes that a request asks for, each once; none if it does not say. Throws `invalid_scope`. */
export function scopesOf(form: Form): string[] {
  const scopes = new Set((form.get('scope') ?? '').split(' ').filter((scope) => scope !== ''));
  if (scopes.size > MAX_SCOPES || [...scopes].some((scope) => !SCOPE.test(scope))) {
    throw refused('invalid_scope', 'the scope cannot be read; send up to 100 names by spaces');
  }
  return [...scopes];
}

/**
 * The service that the token is for: `audience` (RFC 8693) or `resource` (RFC 8707), which mean the same
 * here; undefined if the request names none. Throws `invalid_target`.
 */
export function targetOf(form: Form): string | undefined {
  const [audience, resource] = [form.get('audience'), form.get('resource')];
  if (resource !== undefined && !isResource(resource)) {
    throw refused('invalid_target', 'resource must be an absolute URI without a fragment');
  }
  if (audience !== undefined && resource !== undefined && audience !== resource) {
    throw refused('invalid_target', 'audience and resource differ; a token is for one service');
  }
  const target = audience ?? resource;
  if (target !== undefined && (target.length > MAX_TARGET || target.includes('\0'))) {
    throw refused('invalid_target', `the audience must have at most ${MAX_TARGET} characters`);
  }
  return target;
}

function isResource(text: string): boolean {
  return URL.canParse(text) && !text.includes('#');
}

function refused(code: 'invalid_scope' | 'invalid_target', message: string): OAuthError {
  return new OAuthError(code, new Failure('invalid', 'INVALID_REQUEST', message));
}
