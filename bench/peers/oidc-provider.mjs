import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import pg from 'pg';

/**
 * oidc-provider in one process, with one client. Without DATABASE_URL it keeps its tokens in memory, by
 * the adapter that it brings, which has room for a thousand. With it, they are in a table. A token for
 * the resource `https://api.example.com` is a JWT, any other an opaque one.
 */
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const provider = new Provider('https://id.example.com', {
  adapter: process.env.DATABASE_URL ? await tableAdapter() : undefined,
  clients: [
    {
      client_id: 'bench',
      client_secret: 'secret-of-the-bench',
      id_token_signed_response_alg: 'ES256',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  cookies: { keys: ['a secret'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: '',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 900,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  ttl: { ClientCredentials: 7200 },
});

const server = provider.listen(0, '127.0.0.1', () => {
  process.stderr.write(`ready on 127.0.0.1:${server.address().port}\n`);
});
process.once('SIGTERM', () => process.exit());

/** The least that an adapter on PostgreSQL has to do for the client credentials grant. */
async function tableAdapter() {
  const database = new pg.Pool({
    connectionString: process.env.DATABASE_URL,
    max: Number(process.env.POOL_MAX),
  });
  await database.query(
    `create table if not exists models (
       id text primary key, payload jsonb not null, expires_at timestamptz)`,
  );
  return class {
    constructor(model) {
      this.model = model;
    }

    async upsert(id, payload, expiresIn) {
      await database.query({
        name: 'upsert',
        text: `insert into models values ($1, $2, now() + $3 * interval '1 second')
               on conflict (id) do update
               set payload = excluded.payload, expires_at = excluded.expires_at`,
        values: [`${this.model}:${id}`, payload, expiresIn],
      });
    }

    async find(id) {
      const { rows } = await database.query({
        name: 'find',
        text: `select payload from models where id = $1 and expires_at > now()`,
        values: [`${this.model}:${id}`],
      });
      return rows[0]?.payload;
    }

    async destroy(id) {
      await database.query('delete from models where id = $1', [`${this.model}:${id}`]);
    }
  };
}
