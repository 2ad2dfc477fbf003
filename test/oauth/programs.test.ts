import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { makeCertificate, skip as skipCertificates } from '../http/certificates.ts';
import { bearer } from '../mesh/asking.ts';
import { startProgram } from '../program.ts';
import { freePort } from '../servers.ts';
import { basic, post } from './asking.ts';
import { type Acting, acting } from './delegation.ts';

const MODULES = '/usr/lib/apache2/modules';
const APACHE = '/usr/sbin/apache2';
const ORDERS = 'https://orders.test';

/** Where Debian and others put programs. */
const placeOf = (program: string) =>
  [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']
    .map((place) => join(place, program))
    .find((place) => existsSync(place));

const prometheus = placeOf('prometheus');
const hasApache = existsSync(APACHE) && existsSync(`${MODULES}/mod_auth_openidc.so`);

let service: Service;
let pat: Person;
let robot: Acting;

before(async () => {
  service = await startService();
  pat = await person(service, 'user', 'admin');
  robot = await acting(service, pat, ['users.read', 'audit.read']);
});

/** Runs a program until the test ends. Returns what it has written so far. */
function run(name: string, args: string[], cwd: string): () => string {
  const program = startProgram(name, args, { cwd });
  // It has processes of its own to end.
  atEnd(() => program.end());
  return () => {
    const written = program.text();
    if (program.process.exitCode !== null) throw new Error(`${name} ended:\n${written}`);
    return written;
  };
}

describe('Programs off the shelf', () => {
  it('Prometheus scrapes with a token that it gets by its client credentials', {
    skip: !prometheus && 'needs prometheus: put it into PATH',
  }, async () => {
    const directory = temporaryDirectory();
    const asked: IncomingMessage[] = [];
    const target = createServer((req, res) => {
      asked.push(req);
      res.end('orders_total 7\n');
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    atEnd(() => {
      target.closeAllConnections();
      target.close();
    });
    writeFileSync(join(directory, 'secret'), robot.secret);
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [
        {
          job_name: 'orders',
          static_configs: [{ targets: [`127.0.0.1:${(target.address() as AddressInfo).port}`] }],
          oauth2: {
            client_id: robot.keyId,
            client_secret_file: join(directory, 'secret'),
            token_url: `http://${service.app.httpAddress}/oauth2/token`,
            scopes: ['users.read'],
            endpoint_params: { audience: ORDERS },
          },
        },
      ],
    };
    // JSON is YAML.
    writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config));
    const listen = `--web.listen-address=127.0.0.1:${await freePort()}`;
    const written = run(
      prometheus ?? '',
      ['--config.file=prometheus.yml', '--storage.tsdb.path=data', listen],
      directory,
    );
    await eventually(() => written() !== '' && asked.length > 0);
    const token = asked[0]?.headers.authorization?.split(' ')[1] ?? '';
    const { body } = await post(service, '/oauth2/introspect', { token });
    assert.deepEqual(
      [body['active'], body['sub'], body['scope'], body['aud']],
      [true, robot.robot, 'users.read', ORDERS],
    );
  });

  it('Apache with mod_auth_openidc asks about each token, and hears of its revocation', {
    skip:
      (!hasApache && 'needs apache2 and libapache2-mod-auth-openidc of Debian') || skipCertificates,
  }, async () => {
    // Its workers have a user of their own, and read nothing of the run's directory.
    const directory = mkdtempSync(join(tmpdir(), 'countersign-apache-'));
    const { cert, key } = makeCertificate(temporaryDirectory(), 'server');
    const secure = await startReplica(service, {
      env: { COUNTERSIGN_TLS_CERT_FILE: cert, COUNTERSIGN_TLS_KEY_FILE: key },
    });
    const asker = await newKey(service, pat, { scopes: ['tokens.introspect'] });
    const port = await freePort();
    const load = (name: string) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`;
    writeFileSync(
      join(directory, 'httpd.conf'),
      `ServerName 127.0.0.1
      Listen 127.0.0.1:${port}
      PidFile ${directory}/pid
      ErrorLog ${directory}/log
      User www-data
      Group www-data
      DocumentRoot ${MODULES}
      ${['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'status', 'auth_openidc'].map(load).join('\n')}
      OIDCCryptoPassphrase any
      OIDCOAuthIntrospectionEndpoint https://${secure.app.httpAddress}/oauth2/introspect
      OIDCOAuthIntrospectionEndpointAuth client_secret_basic
      OIDCOAuthClientID ${asker.id}
      OIDCOAuthClientSecret ${asker.secret}
      OIDCOAuthTokenIntrospectionInterval -1
      OIDCOAuthSSLValidateServer Off
      OIDCOAuthRemoteUserClaim sub
      <Location /orders>
        SetHandler server-status
        AuthType oauth20
        <RequireAll>
          Require claim aud:${ORDERS}
          Require claim "scope~(^|[ ])users[.]read([ ]|$)"
        </RequireAll>
      </Location>`,
    );
    const written = run(APACHE, ['-d', directory, '-f', 'httpd.conf', '-DFOREGROUND'], directory);
    const statusOf = async (headers = {}) =>
      (await fetch(`http://127.0.0.1:${port}/orders`, { headers })).status;
    await eventually(async () => {
      written();
      return (await statusOf().catch(() => 0)) === 401;
    });
    const token = async (form: Record<string, string>) => {
      const headers = basic(robot.keyId, robot.secret);
      const wanted = { grant_type: 'client_credentials', audience: ORDERS, ...form };
      return String((await post(service, '/oauth2/token', wanted, headers)).body['access_token']);
    };
    const good = await token({});
    assert.equal(await statusOf(bearer(good)), 200);
    for (const other of [{ scope: 'audit.read' }, { audience: 'https://other.test' }]) {
      assert.equal(await statusOf(bearer(await token(other))), 401);
    }
    assert.equal(await statusOf(bearer('x')), 401);
    await post(service, '/oauth2/revoke', { token: good });
    await eventually(async () => (await statusOf(bearer(good))) === 401);
  });
});
