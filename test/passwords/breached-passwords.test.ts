import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, beforeEach, describe, it } from 'node:test';
import { BreachedPasswords } from '../../src/passwords/breached-passwords.ts';
import { Breakers } from '../../src/platform/breakers.ts';
import type { LogFields } from '../../src/platform/log.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { newEmail, PASSWORD } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

/** SHA-1 of "correct horse battery staple", by sha1sum: the first five digits, and the others. */
const PREFIX = 'ABF7A';
const SUFFIX = 'AD6438836DBE526AA231ABDE2D0EEF74D42';
const OTHERS = `0018A45C4D1DEF81644B54AB7F969B88D65:10\r\n00D4F6E8FA6EECAD2A3AA415EEC418D38EC:2`;
const REST_MS = 300;

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

describe('Breached passwords', () => {
  let handler: Handler;
  let url: string;
  const requests: IncomingMessage[] = [];
  const logged: LogFields[] = [];

  before(async () => {
    const server = createServer((req, res) => {
      requests.push(req);
      handler(req, res);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/range`;
    atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
  });

  beforeEach(() => {
    requests.length = 0;
    logged.length = 0;
  });

  const answers =
    (text: string, status = 200): Handler =>
    (_req, res) =>
      res.writeHead(status).end(text);
  const found = answers(`${OTHERS}\r\n${SUFFIX}:384\r\n`);
  const note = (fields: LogFields) => void logged.push(fields);
  const lookup = () => {
    const log = { debug: note, info: note, warn: note, error: note };
    return new BreachedPasswords(url, { log, breakers: new Breakers(log) }, { restMs: REST_MS });
  };
  const lines = (component: string) => logged.filter((each) => each.component === component);
  const includes = (breached: BreachedPasswords, password = PASSWORD) =>
    breached.includes(password, AbortSignal.timeout(20_000));

  it('C01 finds a password by the first five digits of its SHA-1, which is all that it sends', async () => {
    handler = found;
    assert.equal(await includes(lookup()), true);
    assert.equal(requests[0]?.url, `/range/${PREFIX}`);
    assert.equal(requests[0]?.headers['add-padding'], 'true');
    assert.deepEqual(logged, []);
  });

  it('does not find a password whose digest is not in the answer', async () => {
    handler = answers(OTHERS);
    assert.equal(await includes(lookup()), false);
    assert.deepEqual(logged, []);
  });

  it('ignores padding, which was seen zero times', async () => {
    handler = answers(`${OTHERS}\r\n${SUFFIX}:0`);
    assert.equal(await includes(lookup()), false);
    assert.deepEqual(logged, []);
  });

  const failing: Record<string, Handler> = {
    'does not answer': () => {},
    'stops in the middle': (_req, res) => void res.writeHead(200).write(`${OTHERS}\r\n`),
    'fails with 500': answers(`${SUFFIX}:384`, 500),
    'redirects elsewhere': (_req, res) => res.writeHead(302, { location: '/found' }).end(),
    'answers with garbage': answers(`<html>${SUFFIX}:384</html>`),
    'answers with nothing': answers(''),
    'answers without end': (_req, res) =>
      void res.writeHead(200).end(`${SUFFIX}:384\r\n`.repeat(60_000)),
    'cuts the connection': (req) => void req.socket.destroy(),
  };
  for (const [what, handle] of Object.entries(failing)) {
    it(`lets passwords pass, with a line in the log, when the server ${what}`, async () => {
      handler = handle;
      const from = performance.now();
      assert.equal(await includes(lookup()), false);
      assert.ok(performance.now() - from < 15_000);
      assert.equal(logged.length, 1);
      assert.equal(logged[0]?.component, 'breached passwords');
      assert.doesNotMatch(JSON.stringify(logged), new RegExp(`${SUFFIX}|${PASSWORD}`));
    });
  }

  it('W13 leaves a server alone after five failures, and asks it again after a while', async () => {
    const breached = lookup();
    handler = answers('', 503);
    for (let i = 0; i < 10; i += 1) assert.equal(await includes(breached), false);
    assert.equal(requests.length, 5);
    assert.equal(lines('breached passwords').length, 5);
    assert.deepEqual(
      lines('breaker').map(({ dependency }) => dependency),
      ['breached_passwords'],
    );
    handler = found;
    assert.equal(await includes(breached), false);
    assert.equal(requests.length, 5);
    await eventually(() => includes(breached));
    assert.equal(requests.length, 6);
    assert.equal(await includes(breached), true);
    assert.equal(lines('breaker').length, 2);
  });

  it('throws if the caller has gone', async () => {
    handler = found;
    await assert.rejects(lookup().includes(PASSWORD, AbortSignal.abort(new Error('gone'))), /gone/);
  });

  describe('in a service that is configured to ask', () => {
    let service: Service;

    before(async () => {
      service = await startService({ env: { COUNTERSIGN_PWNED_PASSWORDS_URL: `${url}/` } });
    });

    const signUp = (password: string) =>
      service.auth.signUp({ email: newEmail(), password, displayName: '' });

    it('C01 are refused at a sign-up', async () => {
      handler = found;
      const refused = await refusal(signUp(PASSWORD));
      assert.equal(refused.reason, 'PASSWORD_TOO_WEAK');
      assert.deepEqual(refused.fields, ['password']);
      assert.match(refused.message, /data breach/);
      await signUp(`${PASSWORD}, another`);
    });

    it('are accepted while the server fails', async () => {
      handler = answers('', 500);
      await signUp(PASSWORD);
    });
  });
});
