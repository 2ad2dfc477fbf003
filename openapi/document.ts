import { readFileSync } from 'node:fs';
import { SECURITY_SCHEMES } from './access.ts';
import { Contract } from './contract.ts';
import { errorSchemas } from './error-schemas.ts';
import { Errors } from './errors.ts';
import { methodPaths } from './operations.ts';
import { PLAIN_PATHS } from './plain-endpoints.ts';
import type { Schema } from './rules.ts';
import { Schemas } from './schemas.ts';

const ABOUT = `An identity service: accounts, sessions, tokens and API keys. This is its contract as the Connect protocol speaks it in JSON; the same methods answer gRPC and gRPC-Web.

A call is a \`POST\` of a JSON object with \`content-type: application/json\`. Requests may call fields by their names in the proto too (\`display_name\`), and are refused if they have one that is not known. Answers leave out what is empty, zero or false. Messages have at most 64 KiB.

- \`connect-timeout-ms\` says how long the caller waits; without it, a call ends after 30 seconds.
- \`x-request-id\`, if a call brings one, is in its answer and in the log.
- \`traceparent\` makes a call a part of that trace: its log line has the id.
- \`x-countersign-session: cookie\` keeps the refresh token of a web page in a cookie, and out of answers.

An error has a \`code\`, a \`message\` for people, and details: \`google.rpc.ErrorInfo\` with the \`reason\`, which programs go by, and \`google.rpc.RequestInfo\` with the call's id.

Nobody who can call a method is told more than its access rule says: each method has one, and what is written here about it is read from the rule that is enforced.`;

const PLAIN_TAGS = [
  { name: 'OAuth', description: 'For software that speaks OAuth: docs/oauth.md.' },
  { name: 'Discovery', description: 'What verifiers of tokens fetch.' },
  { name: 'Operation', description: 'For probes, proxies and monitoring.' },
];

/** The contract in OpenAPI 3.1. */
export function openApiDocument(root: URL): Schema {
  const read = (path: string) => new URL(path, root);
  const { version } = JSON.parse(readFileSync(read('package.json'), 'utf8'));
  const contract = new Contract(read('gen/countersign.binpb'));
  const schemas = new Schemas(contract);
  const errors = new Errors(contract);
  const paths = { ...methodPaths({ contract, schemas, errors }), ...PLAIN_PATHS };
  const ofServices = contract.services.map((service) => ({
    name: service.name,
    description: contract.prose(service),
  }));
  return {
    openapi: '3.1.1',
    info: {
      title: 'Countersign',
      version,
      description: ABOUT,
      license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'Where this document comes from.' }],
    tags: [...ofServices, ...PLAIN_TAGS],
    paths,
    components: {
      securitySchemes: SECURITY_SCHEMES,
      schemas: { ...schemas.all, ...errorSchemas(errors) },
    },
  };
}
