import { createServer } from 'node:http';
import { apiKey } from '@better-auth/api-key';
import { hash, verify } from '@node-rs/argon2';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import pg from 'pg';

/**
 * better-auth in one process on PostgreSQL. Three instances share a database and a pool: `/plain` reads
 * the session from the database, `/cached` from a signed cookie, and `/extending` moves its end at every
 * check, which is what a refresh is there. Its API keys are checked by a function of the library, which
 * gets a path of its own: POST /verify-key.
 */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const database = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.POOL_MAX),
});

function instance(name, session) {
  return betterAuth({
    baseURL: 'https://id.example.com',
    basePath: `/${name}`,
    secret: 'a secret of more than thirty-two characters',
    database,
    session: { expiresIn: 7200, ...session },
    emailAndPassword: {
      enabled: true,
      autoSignIn: false,
      password: {
        hash: (password) => hash(password, ARGON2ID),
        verify: ({ hash: stored, password }) => verify(stored, password),
      },
    },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    plugins: [apiKey({ rateLimit: { enabled: false } })],
  });
}

const instances = {
  plain: instance('plain', {}),
  cached: instance('cached', { cookieCache: { enabled: true, maxAge: 7200 } }),
  extending: instance('extending', { updateAge: 0 }),
};
const { runMigrations } = await getMigrations(instances.plain.options);
await runMigrations();

const handlers = Object.fromEntries(
  Object.entries(instances).map(([name, auth]) => [name, toNodeHandler(auth)]),
);

const server = createServer(async (request, response) => {
  const handler = handlers[request.url.split('/')[1]];
  if (handler) return handler(request, response);
  const body = await json(request);
  const { api } = instances.plain;
  const answer =
    request.url === '/verify-key'
      ? await api.verifyApiKey({ body: { key: body.key } })
      : await api.createApiKey({ body: { name: 'bench', userId: body.userId } });
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
});
server.listen(0, '127.0.0.1', () => {
  process.stderr.write(`ready on 127.0.0.1:${server.address().port}\n`);
});
process.once('SIGTERM', () => process.exit());

async function json(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}
