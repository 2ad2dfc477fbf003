import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Server } from 'node:net';
import { before, describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Forger } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { makeCertificate, skip } from '../http/certificates.ts';
import {
  byGrpc,
  MachineClock,
  reasonAt,
  untilReason,
  verifierAt,
  verifierOf,
} from './verifiers.ts';

const limits = { checkpointMs: 100 };
const AWAY = 'DEPENDENCY_UNAVAILABLE';
const RENEW_MS = 300_000;
const MAX_AGE_MS = 20 * 60_000;

let service: Service;

before(async () => {
  service = await startService({ limits });
});

/** Reads the key set as `answer` says, undefined: as it is. Counts how often. */
function reading(answer: () => Response | undefined) {
  const counted = { reads: 0 };
  const listen: typeof fetch = (input, init) => {
    if (!String(input).endsWith('/jwks.json')) return fetch(input, init);
    counted.reads += 1;
    return Promise.resolve(answer() ?? fetch(input, init));
  };
  return { counted, fetch: listen };
}

describe('A verifier that finds its keys by discovery', () => {
  /** Asks the service where the issuer's own address is asked. */
  const discovering = (changed: object = {}) => {
    const listen: typeof fetch = async (input, init) => {
      const url = String(input).replace('https://issuer.test', `http://${service.app.httpAddress}`);
      const answer = await fetch(url, init);
      if (!url.endsWith('/openid-configuration')) return answer;
      return Response.json({ ...((await answer.json()) as object), ...changed });
    };
    const { transport } = byGrpc(service);
    return verifierAt('', { transport, fetch: listen } as Parameters<typeof verifierAt>[1]);
  };

  it('needs its issuer only', async () => {
    const { accessToken } = await signedIn(service);
    assert.equal(await reasonAt(discovering(), accessToken), undefined);
  });

  it('S02 takes no keys from a document of another issuer', async () => {
    const { accessToken } = await signedIn(service);
    const verifier = discovering({ issuer: 'https://other.test' });
    assert.equal(await reasonAt(verifier, accessToken), AWAY);
  });
});

describe('A verifier that can no longer read the key set', () => {
  it('M04 goes by no key that may have been withdrawn, and does not ask for each token', async () => {
    let isAway = false;
    const gone = () => new Response('', { status: 500 });
    const { counted, fetch } = reading(() => (isAway ? gone() : undefined));
    const machine = new MachineClock();
    const verifier = verifierOf(service, { clock: machine, fetch });
    const [known, unknown] = [await signedIn(service), await signedIn(service)];
    assert.equal(await reasonAt(verifier, known.accessToken), undefined);
    isAway = true;
    machine.pass(MAX_AGE_MS);
    // Its clock has moved apart from the service's: it hears everything anew.
    await verifier.ready(60_000);
    const before = counted.reads;
    for (let i = 0; i < 100; i += 1) {
      assert.equal(await reasonAt(verifier, known.accessToken), AWAY);
      assert.equal(await reasonAt(verifier, unknown.accessToken), AWAY);
    }
    assert.equal(verifier.state, 'ready');
    assert.ok(counted.reads - before < 50, `${counted.reads - before}`);
    isAway = false;
    machine.pass(1000);
    await untilReason(verifier, known.accessToken, undefined);
  });

  it('M04 keeps its keys if it is told that there are none', async () => {
    let isEmpty = false;
    const { counted, fetch } = reading(() => (isEmpty ? Response.json({ keys: [] }) : undefined));
    const machine = new MachineClock();
    const verifier = verifierOf(service, { clock: machine, fetch });
    const { accessToken } = await signedIn(service);
    assert.equal(await reasonAt(verifier, accessToken), undefined);
    isEmpty = true;
    const { reads } = counted;
    const failed = new Promise((resolve) => verifier.on('error', resolve));
    machine.pass(RENEW_MS);
    await eventually(() => counted.reads > reads);
    await failed;
    await verifier.ready(60_000);
    await untilReason(verifier, accessToken, undefined);
  });

  it('M04 asks once for many made-up keys', async () => {
    const { counted, fetch } = reading(() => undefined);
    const verifier = verifierOf(service, { fetch });
    const forger = await Forger.of(service);
    assert.equal(await reasonAt(verifier, await forger.token()), undefined);
    const made = Array.from({ length: 100 }, (_, i) => forger.token({}, { kid: `made-up-${i}` }));
    const before = counted.reads;
    for (const token of await Promise.all(made)) {
      assert.equal(await reasonAt(verifier, token), 'TOKEN_INVALID');
    }
    assert.ok(counted.reads - before < 10, `${counted.reads - before}`);
  });
});

describe('A key set that is not one', () => {
  let written = 0;
  const CHUNK = Buffer.alloc(64 * 1024, ' ');
  /** Answers of somebody who stands where the key set should be. */
  const answers: Record<string, (res: ServerResponse) => void> = {
    'is elsewhere': (res) => res.writeHead(302, { location: `http://${address()}` }).end(),
    'has no end': (res) => {
      const write = () => {
        do written += CHUNK.length;
        while (res.write(CHUNK));
      };
      res.on('drain', write);
      write();
    },
    'comes a byte at a time': (res) => {
      const timer = setInterval(() => res.write(' '), 50);
      res.on('close', () => clearInterval(timer));
    },
    'is a page': (res) => res.end('<html>'),
    'is nothing': (res) => res.end('null'),
    'has no keys': (res) =>
      res.end('{"keys":[{"kty":"oct","k":"AA","kid":"a","alg":"HS256"},null,1]}'),
  };
  const address = () => `${service.app.httpAddress}/.well-known/jwks.json`;

  for (const [kind, answer] of Object.entries(answers)) {
    it(`M04 is an outage: it ${kind}`, async () => {
      const sent: ServerResponse[] = [];
      const server = createServer((_, res) => {
        sent.push(res);
        answer(res);
      });
      const jwksUrl = `http://${await addressOf(server)}/jwks.json`;
      const { accessToken } = await signedIn(service);
      const verifier = verifierOf(service, { jwksUrl });
      assert.equal(await reasonAt(verifier, accessToken), AWAY);
      await eventually(() => sent.every((res) => res.destroyed || res.writableEnded));
      // What fits between the two programs, and no gigabytes until the time is up.
      assert.ok(written < 100_000_000, `${written}`);
    });
  }
});

/** Returns where a server listens, until the test ends. */
async function addressOf(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('A verifier of a service with TLS', { skip }, () => {
  const files = (name: string) => {
    const { cert, key } = makeCertificate(temporaryDirectory(), name);
    return { cert: readFileSync(cert), key: readFileSync(key) };
  };

  it('trusts the authority that it is given and no other, and shows who it is', async () => {
    const [own, client, other] = [files('service'), files('client'), files('other')];
    const options = { ...own, ca: client.cert, requestCert: true };
    const secured = createTlsServer(options, (near) => {
      const far = connect(Number(new URL(`http://${service.app.httpAddress}`).port), '127.0.0.1');
      for (const each of [near, far]) each.on('error', () => near.destroy());
      near.pipe(far).pipe(near);
      atEnd(() => near.destroy());
    }).on('tlsClientError', () => {});
    const baseUrl = `https://${await addressOf(secured)}`;
    const { accessToken, refreshToken } = await signedIn(service);
    const verifier = verifierAt(baseUrl, { tls: { ...client, ca: own.cert } });
    assert.equal(await reasonAt(verifier, accessToken), undefined);
    await service.auth.logout({ refreshToken });
    await untilReason(verifier, accessToken, 'TOKEN_REVOKED');
    const wrong = [{}, { tls: { ...client, ca: other.cert } }, { tls: { ca: own.cert } }];
    for (const each of wrong) {
      const verifier = verifierAt(baseUrl, each);
      assert.equal(await reasonAt(verifier, accessToken), AWAY);
      await assert.rejects(verifier.ready(1), { reason: AWAY, message: /in time: .+/ });
    }
    const url = `http://${service.app.httpAddress}`;
    assert.throws(() => verifierAt(url, { tls: { ca: own.cert } }), /https:/);
  });
});
