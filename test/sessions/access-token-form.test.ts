import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { RoleBook } from '../../src/access/role-book.ts';
import { readConfig } from '../../src/config.ts';
import { Failure } from '../../src/platform/failure.ts';
import { createLog } from '../../src/platform/log.ts';
import { noHints } from '../../src/platform/redis-hints.ts';
import { RevocationFeed } from '../../src/revocations/revocation-feed.ts';
import { openDatabase } from '../../src/schema.ts';
import { AccessTokenVerifier } from '../../src/sessions/verify-access-token.ts';
import { KeySet } from '../../src/signing-keys/key-set.ts';
import { Forger, judge, testKeyring } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { type Service, startService } from '../harness/service.ts';

const LIMIT = 4096;

describe('The access token, by its form alone', () => {
  let service: Service;
  let forger: Forger;
  let verifier: AccessTokenVerifier;
  let lookups: string[] = [];

  before(async () => {
    service = await startService();
    forger = await Forger.of(service);
    const config = readConfig(service.env, () => '');
    const log = createLog('silent');
    const database = await openDatabase(config, log);
    const keys = new KeySet(database, testKeyring());
    const { clock } = service;
    const revocations = new RevocationFeed({
      ...config,
      database,
      clock,
      log,
      hints: noHints,
      keys,
    });
    await revocations.look();
    const roles = new RoleBook({ database, clock, log, hints: noHints });
    await roles.look();
    atEnd(() => database.close());
    verifier = new AccessTokenVerifier({
      caches: { tokens: 10 },
      clock,
      tokens: { issuer: 'https://issuer.test' },
      revocations,
      roles,
      // The real keys, with a record of each lookup.
      keys: {
        find: (id) => {
          lookups.push(id);
          return keys.find(id);
        },
        has: (id) => keys.has(id),
      },
    });
  });

  /** Whether the verifier looks for the key that a token names, on its way to an answer. */
  async function looksForKey(token: string): Promise<boolean> {
    lookups = [];
    try {
      await verifier.verify(token);
    } catch (error) {
      assert.ok(error instanceof Failure && error.kind === 'unauthenticated');
    }
    return lookups.length > 0;
  }

  /** A token that is right in everything, of this many bytes. */
  async function tokenOfSize(bytes: number): Promise<string> {
    for (let fill = bytes; fill > 0; fill -= 1) {
      const token = await forger.token({ note: 'x'.repeat(fill) });
      if (token.length === bytes) return token;
      if (token.length < bytes) break;
      fill -= Math.floor((token.length - bytes) / 2);
    }
    throw new Error('no such size');
  }

  it('S03 is read up to 4 KiB, and refused above that before its key is looked up', async () => {
    const largest = await tokenOfSize(LIMIT);
    assert.equal(await looksForKey(largest), true);
    assert.equal(await judge(service, largest), 'accepted');
    for (const size of [LIMIT + 2, 6000, 60_000]) {
      const token = await forger.token({ note: 'x'.repeat(size) });
      assert.equal(await looksForKey(token), false, `${size}`);
    }
    const over = await forger.token({ note: 'x'.repeat(LIMIT) });
    assert.equal(await judge(service, over), 'TOKEN_INVALID');
  });

  it('S03 is refused before its key is looked up if it does not have the form of a JWS', async () => {
    const token = await forger.token();
    const [header, payload, signature] = token.split('.');
    assert.equal(await looksForKey(token), true);
    const forms = [
      '',
      'x',
      `${header}`,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `.${payload}.${signature}`,
      `${token}.`,
      `${token}.${signature}`,
      `${token}.${signature}.${signature}`,
      `${token}=`,
      `${token}\n`,
      ` ${token}`,
      `${header}.${payload}.${signature?.replace(/.$/, '+')}`,
      `${header}.${payload}.${signature}\u0000`,
      `${header}.${payload}.é`,
      JSON.stringify({ protected: header, payload, signature }),
      `Bearer ${token}`,
    ];
    for (const form of forms) assert.equal(await looksForKey(form), false, form.slice(-10));
  });

  it('S03 is looked up once, and known by its digest after that', async () => {
    const token = await forger.token({ note: 'once' });
    assert.equal(await looksForKey(token), true);
    assert.equal(await looksForKey(token), false);
  });
});
