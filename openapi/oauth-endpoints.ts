import type { Schema } from './rules.ts';

const ERROR: Schema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'string',
      examples: ['invalid_request', 'invalid_client', 'invalid_scope', 'temporarily_unavailable'],
    },
    error_description: { type: 'string' },
  },
};

const error = (description: string): Schema => ({
  description,
  content: { 'application/json': { schema: ERROR } },
});

const CLIENT = {
  client_id: {
    type: 'string',
    description: 'The id of an API key or of its service account, unless it comes by Basic.',
  },
  client_secret: {
    type: 'string',
    format: 'password',
    writeOnly: true,
    description: "The key's secret, `csk_…`, unless it comes by Basic.",
  },
};

const ACTIVE: Schema = {
  type: 'object',
  required: ['active'],
  properties: {
    active: { type: 'boolean' },
    scope: { type: 'string', description: 'What it allows at this moment, separated by spaces.' },
    client_id: { type: 'string' },
    token_type: { type: 'string' },
    iss: { type: 'string' },
    sub: { type: 'string', description: 'The id of the user or service account.' },
    aud: { type: ['string', 'array'], items: { type: 'string' } },
    exp: { type: 'integer', description: 'Seconds since 1970.' },
    iat: { type: 'integer', description: 'Seconds since 1970.' },
    jti: { type: 'string' },
    act: { type: 'object', description: 'Who acts for the subject.' },
  },
};

const ISSUED: Schema = {
  type: 'object',
  required: ['access_token', 'token_type', 'expires_in', 'scope'],
  properties: {
    access_token: { type: 'string', format: 'password' },
    issued_token_type: { type: 'string' },
    token_type: { type: 'string', const: 'Bearer' },
    expires_in: { type: 'integer', description: 'Seconds.' },
    scope: { type: 'string' },
  },
};

const GRANTS = ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'];
const TOKEN: Schema = { type: 'string', format: 'password', writeOnly: true };
const TEXT: Schema = { type: 'string' };

type Endpoint = {
  id: string;
  summary: string;
  description: string;
  security: Schema[];
  fields: Record<string, Schema>;
  required: string;
  answer: Schema;
};

function post({ id, summary, description, security, fields, required, answer }: Endpoint): Schema {
  const schema = { type: 'object', required: [required], properties: { ...fields, ...CLIENT } };
  return {
    post: {
      operationId: id,
      tags: ['OAuth'],
      summary,
      description: `${description} No page of another origin can read the answer.`,
      security,
      requestBody: {
        required: true,
        content: { 'application/x-www-form-urlencoded': { schema } },
      },
      responses: {
        '200': { description: 'The answer.', content: { 'application/json': { schema: answer } } },
        '400': error('The request is refused; `error` says why.'),
        '401': error('The client is unknown, or its secret is wrong.'),
        '403': error('The client lacks a permission.'),
        '413': error('The form is longer than 8 KiB.'),
        '429': error('A limit is used up; `retry-after` says until when.'),
        '503': error("It can't be done right now; `retry-after` says when to try again."),
      },
    },
  };
}

/** The OAuth endpoints, by their paths. docs/oauth.md has everything about them. */
export const OAUTH_PATHS: Record<string, Schema> = {
  '/oauth2/token': post({
    id: 'oauthToken',
    summary: 'Access tokens for programs',
    description:
      'RFC 6749: for an API key. RFC 8693: for an access token, to act for its owner, or for a token of a platform in COUNTERSIGN_WORKLOAD_ISSUERS, which needs no client.',
    security: [{ client: [] }, {}],
    required: 'grant_type',
    fields: {
      grant_type: { type: 'string', enum: GRANTS },
      scope: { type: 'string', description: 'Separated by spaces. Empty: all that there are.' },
      audience: { type: 'string', description: 'The service that the token is for.' },
      resource: { type: 'string', format: 'uri', description: 'The same as a URI (RFC 8707).' },
      subject_token: TOKEN,
      subject_token_type: TEXT,
      actor_token: TOKEN,
      actor_token_type: TEXT,
      requested_token_type: TEXT,
    },
    answer: ISSUED,
  }),
  '/oauth2/introspect': post({
    id: 'oauthIntrospect',
    summary: 'Whether a token or an API key is valid now',
    description:
      'RFC 7662. The caller holds `tokens.introspect`, or is in COUNTERSIGN_TRUSTED_CALLERS. `accept: application/token-introspection+jwt` asks for a signed answer (RFC 9701).',
    security: [{ client: [] }, { accessToken: ['tokens.introspect'] }, {}],
    required: 'token',
    fields: { token: TOKEN, token_type_hint: TEXT },
    answer: ACTIVE,
  }),
  '/oauth2/revoke': post({
    id: 'oauthRevoke',
    summary: 'Ends a token',
    description:
      'RFC 7009. A refresh token ends its session, an access token ends alone. Whoever holds a token may end it. The answer is the same for a token that is none of ours.',
    security: [{}, { client: [] }],
    required: 'token',
    fields: { token: TOKEN, token_type_hint: TEXT },
    answer: { type: 'object' },
  }),
};
