import assert from 'node:assert/strict';
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import {
  firstRefreshSecret,
  formatRefreshToken,
  parseRefreshToken,
  refreshHash,
  successorOf,
} from '../../src/sessions/refresh-secret.ts';
import { tablesWith } from '../database-search.ts';
import { testKeyring } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { signedIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const OLD = MASTER_KEY;
const NEW = randomBytes(32).toString('base64');

describe('The refresh token', () => {
  const keyring = testKeyring();
  const issued = firstRefreshSecret(keyring, randomUUID());
  const text = formatRefreshToken(keyring, issued);

  it('is read back as it was written', () => {
    assert.match(text, /^csr_[\w-]{22}\.[\w-]{71}$/);
    assert.deepEqual(parseRefreshToken(keyring, text), issued);
    const later = { ...issued, generation: 2 ** 32 - 1 };
    assert.deepEqual(parseRefreshToken(keyring, formatRefreshToken(keyring, later)), later);
  });

  it('is refused with any character changed, left out or added', () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
    for (let at = 0; at < text.length; at += 1) {
      for (const letter of letters.replace(text[at] ?? '', '')) {
        const changed = text.slice(0, at) + letter + text.slice(at + 1);
        assert.equal(parseRefreshToken(keyring, changed), undefined, `${at} ${letter}`);
      }
      const shorter = text.slice(0, at) + text.slice(at + 1);
      assert.equal(parseRefreshToken(keyring, shorter), undefined);
    }
    for (const odd of ['', `${text}A`, ` ${text}`, `${text}\n`, text.replace('.', '..')]) {
      assert.equal(parseRefreshToken(keyring, odd), undefined);
    }
  });

  it('is refused if another master key, or another version of it, made it', () => {
    assert.equal(parseRefreshToken(testKeyring(NEW), text), undefined);
    assert.equal(parseRefreshToken(testKeyring(`2:${OLD}`), text), undefined);
    assert.deepEqual(parseRefreshToken(testKeyring(`2:${NEW},1:${OLD}`), text), issued);
  });

  it('has a successor that is derived by HKDF, as versions of the program before this one do', () => {
    const hkdf = (secret: Uint8Array, salt: Uint8Array | string, info: string) =>
      Buffer.from(hkdfSync('sha256', secret, salt, info, 32));
    const purpose = 'refresh-token/successor';
    const key = hkdf(Buffer.from(MASTER_KEY, 'base64'), '', `countersign/${purpose}`);
    assert.deepEqual(successorOf(keyring, issued).secret, hkdf(issued.secret, key, purpose));
  });

  it('has one successor, whichever replica computes it, and a different one for each generation', () => {
    const next = successorOf(keyring, issued);
    assert.deepEqual(successorOf(testKeyring(), issued), next);
    assert.equal(next.generation, 1);
    assert.equal(next.sessionId, issued.sessionId);
    assert.notDeepEqual(next.secret, issued.secret);
    assert.notDeepEqual(successorOf(keyring, next).secret, next.secret);
    assert.notDeepEqual(successorOf(testKeyring(NEW), issued).secret, next.secret);
    assert.notDeepEqual(refreshHash(testKeyring(NEW), issued), refreshHash(keyring, issued));
  });
});

describe('The refresh token, while the master key is rotated', () => {
  let before_: Service;
  let after_: Service;

  before(async () => {
    noteSecret(NEW);
    before_ = await startService({ env: { COUNTERSIGN_MASTER_KEY: `1:${OLD},2:${NEW}` } });
    after_ = await startReplica(before_, {
      env: { COUNTERSIGN_MASTER_KEY: `2:${NEW},1:${OLD}` },
    });
  });

  const refresh = async (service: Service, refreshToken: string) =>
    (await service.auth.refreshToken({ refreshToken })).tokens?.refreshToken ?? '';

  const versionOf = async (sessionId: string) => {
    const [row] = await sql<{ version: number }>(
      before_.databaseUrl,
      'select refresh_key_version as version from sessions where id = $1',
      [sessionId],
    );
    return row?.version;
  };

  it('S11 continues under the new version, and nobody is signed out', async () => {
    const first = await signedIn(before_);
    assert.equal(await versionOf(first.sessionId), 1);
    const second = await refresh(after_, first.refreshToken);
    assert.equal(await versionOf(first.sessionId), 2);
    const third = await refresh(after_, second);
    assert.equal(await versionOf(first.sessionId), 2);
    // A replica that has not been restarted since serves it too.
    await refresh(before_, third);
    assert.equal(await versionOf(first.sessionId), 1);
  });

  it('S06 returns the identical successor to a retry on the other side of the rotation', async () => {
    const first = await signedIn(before_);
    const second = await refresh(before_, first.refreshToken);
    assert.equal(await refresh(after_, first.refreshToken), second);
    const third = await refresh(after_, second);
    assert.equal(await refresh(before_, second), third);
    assert.equal(await refresh(after_, second), third);
    await refresh(after_, third);
  });

  it('S07 still knows a token that was presented again', async () => {
    const first = await signedIn(before_);
    const second = await refresh(before_, first.refreshToken);
    await refresh(after_, second);
    const thief = await refusal(after_.auth.refreshToken({ refreshToken: first.refreshToken }));
    assert.equal(thief.reason, 'REFRESH_TOKEN_REUSED');
  });

  it('S11 opens nothing once its version is gone, and is nowhere in the database', async () => {
    const first = await signedIn(before_);
    const second = await refresh(after_, first.refreshToken);
    const body = first.refreshToken.split('.')[1] ?? '';
    for (const text of [first.refreshToken, second, body]) {
      assert.deepEqual(await tablesWith(before_.databaseUrl, text), []);
    }
    const secret = parseRefreshToken(testKeyring(), first.refreshToken)?.secret ?? Buffer.alloc(0);
    assert.deepEqual(await tablesWith(before_.databaseUrl, secret.toString('base64url')), []);
    // Signing keys have been sealed again, so that the old version can be dropped.
    const third = await startReplica(before_, { env: { COUNTERSIGN_MASTER_KEY: `2:${NEW}` } });
    await refresh(third, second);
    const old = await refusal(third.auth.refreshToken({ refreshToken: first.refreshToken }));
    assert.equal(old.reason, 'TOKEN_INVALID');
  });
});
