import { OAUTH_PATHS } from './oauth-endpoints.ts';
import type { Schema } from './rules.ts';

const text = (description: string): Schema => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' } } },
});

const json = (description: string, schema: Schema): Schema => ({
  description,
  content: { 'application/json': { schema } },
});

type Get = {
  id: string;
  tag: string;
  summary: string;
  description: string;
  responses: Record<string, Schema>;
  more?: Schema;
};

function get({ id, tag, summary, description, responses, more = {} }: Get): Schema {
  const operation = { operationId: id, tags: [tag], summary, description, security: [] };
  return { get: { ...operation, ...more, responses } };
}

const STRINGS: Schema = { type: 'object', additionalProperties: { type: 'string' } };

const METADATA: Schema = {
  type: 'object',
  required: ['issuer', 'jwks_uri', 'token_endpoint'],
  properties: {
    issuer: { type: 'string', description: 'The `iss` of tokens.' },
    jwks_uri: { type: 'string', format: 'uri' },
    token_endpoint: { type: 'string', format: 'uri' },
    revocation_endpoint: { type: 'string', format: 'uri' },
    introspection_endpoint: { type: 'string', format: 'uri' },
    grant_types_supported: { type: 'array', items: { type: 'string' } },
  },
};

const KEY_SET: Schema = {
  type: 'object',
  required: ['keys'],
  properties: {
    keys: {
      type: 'array',
      items: {
        type: 'object',
        required: ['kty', 'kid', 'alg', 'use'],
        properties: {
          kty: { type: 'string' },
          kid: { type: 'string' },
          alg: { type: 'string', enum: ['ES256', 'EdDSA', 'RS256'] },
          use: { type: 'string', const: 'sig' },
        },
      },
    },
  },
};

const READINESS: Schema = {
  type: 'object',
  required: ['status', 'checks'],
  properties: {
    status: { type: 'string', enum: ['ready', 'degraded', 'not ready'] },
    checks: { ...STRINGS, description: 'Each dependency: `ok`, or what is wrong.' },
  },
};

const QUERY = (name: string, description: string): Schema => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string' },
});

const discovery = (id: string, standard: string): Schema =>
  get({
    id,
    tag: 'Discovery',
    summary: 'Where everything is',
    description: `${standard}. Both documents say the same.`,
    responses: { '200': json('The metadata.', METADATA) },
  });

/** The endpoints that are no RPCs, by their paths. */
export const PLAIN_PATHS: Record<string, Schema> = {
  ...OAUTH_PATHS,
  '/.well-known/jwks.json': get({
    id: 'jwks',
    tag: 'Discovery',
    summary: 'The keys that verify access tokens',
    description:
      'RFC 7517. A key is here for 20 minutes before it signs, and until its last token has expired. Keep the answer for as long as `cache-control` says, and ask again with `if-none-match`.',
    responses: {
      '200': json('The key set.', KEY_SET),
      '304': { description: 'It is the one that `if-none-match` names.' },
    },
  }),
  '/.well-known/openid-configuration': discovery(
    'openidConfiguration',
    'OpenID Connect Discovery 1.0',
  ),
  '/.well-known/oauth-authorization-server': discovery('authorizationServer', 'RFC 8414'),
  '/healthz': get({
    id: 'healthz',
    tag: 'Operation',
    summary: 'Whether the process is alive',
    description: 'It asks nothing else.',
    responses: {
      '200': json('It is.', { type: 'object', properties: { status: { const: 'ok' } } }),
    },
  }),
  '/readyz': get({
    id: 'readyz',
    tag: 'Operation',
    summary: 'Whether the replica should get calls',
    description: 'It asks every dependency.',
    responses: {
      '200': json(
        'It is ready, or degraded: something is missing that it can do without.',
        READINESS,
      ),
      '503': json('It is not.', READINESS),
    },
  }),
  '/metrics': get({
    id: 'metrics',
    tag: 'Operation',
    summary: 'Metrics for Prometheus',
    description:
      'For callers on this machine and in COUNTERSIGN_METRICS_NETWORKS; on a port of its own if COUNTERSIGN_METRICS_ADDR says so. Others find nothing.',
    responses: { '200': text('The metrics.'), '404': json('Not for this caller.', STRINGS) },
  }),
  '/verify': get({
    id: 'verify',
    tag: 'Operation',
    summary: 'Judges a request for a proxy',
    description:
      'A proxy sends the headers of a request that it holds (forward-auth, `auth_request`), by any method, and passes the request on if the answer is 200. It proves that it may ask by its address, in COUNTERSIGN_TRUSTED_CALLERS, or by `x-countersign-caller: Bearer csk_…` with `tokens.introspect`. docs/mesh.md has everything about it.',
    more: {
      parameters: [
        QUERY('required_scopes', 'All of these scopes, separated by spaces or commas.'),
        QUERY('required_permissions', "All of these permissions, of the token's owner."),
        QUERY('audience', 'The audience that a token must have, in place of COUNTERSIGN_AUDIENCE.'),
        QUERY('exchange', 'The audience to exchange the credential for.'),
        QUERY('shadow', '`true`: nothing is refused, and what would have been is recorded.'),
      ],
      security: [{ accessToken: [] }, { apiKey: [] }],
    },
    responses: {
      '200': {
        description: 'The request may pass. `x-countersign-subject` and others say who asks.',
      },
      '401': text('There is no credential, or a bad one.'),
      '403': text('A scope or permission is missing, or the proxy may not ask.'),
      '429': text('A limit is used up.'),
      '503': text("It can't be told right now."),
    },
  }),
};
