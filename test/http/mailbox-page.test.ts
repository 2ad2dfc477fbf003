import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { networkInterfaces } from 'node:os';
import { before, describe, it } from 'node:test';
import { type Child, spawnService } from '../child.ts';
import { atEnd, untilFileEnds } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Service, startService } from '../harness/service.ts';

const PATHS = ['/dev/mailbox', '/dev/mailbox.json'] as const;
const PROXIED = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host'];

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

  describe('on loopback', () => {
    let service: Service;

    before(async () => {
      const env = {
        DATABASE_URL: '',
        SMTP_URL: '',
        COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
        COUNTERSIGN_ALLOWED_HOSTS: 'localhost,127.0.0.1,[::1],mine.example',
        COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
      };
      service = await untilFileEnds(() => startService({ env }));
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
  });

  it('E05 does not exist in the image, which says that mail waits', async () => {
    const [, variables = ''] =
      /\nENV ((?:.*\\\n)*.*)/.exec(readFileSync('Dockerfile', 'utf8')) ?? [];
    const env = Object.fromEntries(
      [...variables.matchAll(/(COUNTERSIGN_\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
    );
    const { COUNTERSIGN_DATA_DIR: _, ...image } = env;
    for (const given of [
      image,
      { COUNTERSIGN_HTTP_ADDR: '0.0.0.0:0' },
      { COUNTERSIGN_PUBLIC_URL: 'https://id.example' },
    ]) {
      const child = await start({ ...given, ...anyPorts(given) });
      assert.match(child.output(), /mail +WAITS in the outbox: SMTP_URL is not set/);
      await eventually(() => /"warn".*SMTP_URL is not set/.test(child.output()));
      const local = child.httpAddress.replace('0.0.0.0', '127.0.0.1');
      assert.deepEqual(await statuses(local, { host: 'localhost' }), [404, 404]);
      await child.end();
    }
  });

  it('E05 is shown on other addresses if it is switched on by name, with a warning', async (t) => {
    const outer = outerAddress();
    if (outer === undefined) return t.skip('needs an address beside loopback');
    for (const [mailbox, status, warning] of [
      ['loopback', 403, false],
      ['anyone', 200, true],
    ] as const) {
      const child = await start({
        COUNTERSIGN_HTTP_ADDR: '0.0.0.0:0',
        COUNTERSIGN_DEV_MAILBOX: mailbox,
      });
      const seenFrom = (address: string) =>
        statuses(child.httpAddress.replace('0.0.0.0', address), { host: 'localhost' });
      assert.deepEqual(await seenFrom('127.0.0.1'), [200, 200]);
      assert.deepEqual(await seenFrom(outer), [status, status]);
      assert.equal(/"warn".*anyone who reaches/.test(child.output()), warning);
      assert.equal(/mail .*to ANYONE/.test(child.output()), warning);
      await child.end();
    }
  });
});

/** The same addresses, with ports that are free. */
function anyPorts(env: Record<string, string>): Record<string, string> {
  const addresses = Object.entries(env).filter(([name]) => name.endsWith('_ADDR'));
  return Object.fromEntries(addresses.map(([name, value]) => [name, value.replace(/\d+$/, '0')]));
}
