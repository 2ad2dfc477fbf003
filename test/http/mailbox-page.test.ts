import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { createConnection } from 'node:net';
import { networkInterfaces } from 'node:os';
import { text } from 'node:stream/consumers';
import { before, describe, it } from 'node:test';
import { type Child, spawnService } from '../child.ts';
import { atEnd, untilFileEnds } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { type Service, startService } from '../harness/service.ts';

const APP = 'https://app.example';
const PATHS = ['/dev/mailbox', '/dev/mailbox.json'] as const;
const PROXIED = [
  ...['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host', 'x-forwarded-proto'],
  ...['x-envoy-expected-rq-timeout-ms', 'cf-connecting-ip'],
];

/** The statuses of both pages, for a caller who reaches them at `address` and names them so. */
function statuses(address: string, headers: Record<string, string>): Promise<number[]> {
  const { hostname, port } = new URL(`http://${address}`);
  return Promise.all(
    PATHS.map((path) => {
      return new Promise<number>((resolve, reject) => {
        request({ hostname, port, path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
          .on('error', reject)
          .end();
      });
    }),
  );
}

/** An address of this machine at which it is not its own loopback. */
function outerAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

describe('/dev/mailbox', () => {
  const start = async (env: Record<string, string>): Promise<Child> => {
    const child = await spawnService({ COUNTERSIGN_DATA_DIR: await embeddedDirectory(), ...env });
    atEnd(() => child.end());
    return child;
  };
  /** In this process, which takes a third of the time: what the command prints is not seen. */
  const startHere = async (env: Record<string, string>): Promise<Service> => {
    const directory = await embeddedDirectory();
    const embedded = { DATABASE_URL: '', SMTP_URL: '', COUNTERSIGN_DATA_DIR: directory };
    return startService({ env: { ...embedded, ...env } });
  };

  describe('on loopback', () => {
    let service: Service;

    before(async () => {
      const env = {
        COUNTERSIGN_ALLOWED_HOSTS: 'localhost,127.0.0.1,[::1],mine.example',
        COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
        COUNTERSIGN_CORS_ORIGINS: APP,
      };
      service = await untilFileEnds(() => startHere(env));
    });

    it('E05 is shown to callers who name it by a loopback name', async () => {
      const { httpAddress } = service.app;
      for (const host of [httpAddress, 'localhost', 'LOCALHOST:80', '[::1]:8080']) {
        assert.deepEqual(await statuses(httpAddress, { host }), [200, 200], host);
      }
    });

    it('E05 is not shown by any other name, allowed or not (DNS rebinding)', async () => {
      const { httpAddress } = service.app;
      assert.deepEqual(await statuses(httpAddress, { host: 'mine.example' }), [403, 403]);
      assert.deepEqual(await statuses(httpAddress, { host: 'rebound.example' }), [421, 421]);
      const session = connect(`http://${httpAddress}`);
      atEnd(() => session.destroy());
      for (const [authority, expected] of [
        ['mine.example', 403],
        ['localhost', 200],
      ] as const) {
        const stream = session.request({ ':path': PATHS[1], ':authority': authority });
        const status = await new Promise((resolve) => {
          stream.once('response', (headers) => resolve(headers[':status']));
        });
        assert.equal(status, expected, authority);
      }
    });

    it('E05 is not shown to callers behind a proxy on this machine', async () => {
      for (const name of PROXIED) {
        const headers = { host: 'localhost', [name]: '127.0.0.1' };
        assert.deepEqual(await statuses(service.app.httpAddress, headers), [403, 403], name);
      }
    });

    it('E05 is not shown by HTTP/1.0, which proxies speak that add no header', async () => {
      const { hostname, port } = new URL(`http://${service.app.httpAddress}`);
      const socket = createConnection(Number(port), hostname);
      socket.end(`GET ${PATHS[1]} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      assert.match(await text(socket), /^HTTP\/1\.1 403 /);
    });

    it('E05 is shown to no page of another machine, even if it may call the service', async () => {
      const { httpAddress } = service.app;
      for (const origin of [APP, 'null', 'http://localhost.evil.example']) {
        const headers = { host: 'localhost', origin };
        assert.deepEqual(await statuses(httpAddress, headers), [403, 403], origin);
      }
      const headers = { host: 'localhost', origin: 'http://localhost:3000' };
      assert.deepEqual(await statuses(httpAddress, headers), [200, 200]);
    });
  });

  it('E05 does not exist in the image, which says that mail waits', async () => {
    const [, variables = ''] =
      /\nENV ((?:.*\\\n)*.*)/.exec(readFileSync('Dockerfile', 'utf8')) ?? [];
    const env = Object.fromEntries(
      [...variables.matchAll(/(COUNTERSIGN_\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
    );
    const { COUNTERSIGN_DATA_DIR: _, ...image } = env;
    const child = await start({ ...image, ...anyPorts(image) });
    assert.match(child.output(), /mail +WAITS in the outbox: SMTP_URL is not set/);
    await eventually(() => /"warn".*SMTP_URL is not set/.test(child.output()));
    assert.deepEqual(await statuses(at(child), { host: 'localhost' }), [404, 404]);
  });

  for (const [reached, env] of [
    ['listens on other addresses', { COUNTERSIGN_HTTP_ADDR: '0.0.0.0:0' }],
    ['has a public name', { COUNTERSIGN_PUBLIC_URL: 'https://id.example' }],
  ] as const) {
    it(`E05 does not exist if the service ${reached}, and the log says that mail waits`, async () => {
      const lines: Record<string, unknown>[] = [];
      await logLines(async () => {
        const { app } = await startHere(env);
        assert.deepEqual(await statuses(at(app), { host: 'localhost' }), [404, 404]);
      }, lines);
      const text = lines.map((line) => JSON.stringify(line)).join('\n');
      assert.match(text, /"warn".*SMTP_URL is not set/);
    });
  }

  it('E05 is shown to this machine alone if it is switched on for loopback, on whatever address', async (t) => {
    const outer = outerAddress();
    if (outer === undefined) return t.skip('needs an address beside loopback');
    const lines: Record<string, unknown>[] = [];
    await logLines(async () => {
      const { app } = await startHere({
        COUNTERSIGN_HTTP_ADDR: '0.0.0.0:0',
        COUNTERSIGN_DEV_MAILBOX: 'loopback',
      });
      assert.deepEqual(await statuses(at(app), { host: 'localhost' }), [200, 200]);
      const fromOutside = statuses(at(app, outer), { host: 'localhost' });
      assert.deepEqual(await fromOutside, [403, 403]);
    }, lines);
    assert.doesNotMatch(lines.map((line) => JSON.stringify(line)).join('\n'), /anyone who reaches/);
  });

  it('E05 is shown on other addresses if it is switched on for anyone, with a warning', async (t) => {
    const outer = outerAddress();
    if (outer === undefined) return t.skip('needs an address beside loopback');
    const child = await start({
      COUNTERSIGN_HTTP_ADDR: '0.0.0.0:0',
      COUNTERSIGN_DEV_MAILBOX: 'anyone',
    });
    for (const address of ['127.0.0.1', outer]) {
      assert.deepEqual(await statuses(at(child, address), { host: 'localhost' }), [200, 200]);
    }
    assert.match(child.output(), /"warn".*anyone who reaches/);
    assert.match(child.output(), /mail .*to ANYONE/);
  });
});

/** The address of a service that listens on all of them. */
function at({ httpAddress }: { httpAddress: string }, address = '127.0.0.1'): string {
  return httpAddress.replace('0.0.0.0', address);
}

/** The same addresses, with ports that are free. */
function anyPorts(env: Record<string, string>): Record<string, string> {
  const addresses = Object.entries(env).filter(([name]) => name.endsWith('_ADDR'));
  return Object.fromEntries(addresses.map(([name, value]) => [name, value.replace(/\d+$/, '0')]));
}
