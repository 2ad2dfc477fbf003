import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import argon2 from 'argon2';
import {
  hashPassword,
  isSupportedHash,
  matchesHash,
  needsRehash,
} from '../../src/passwords/password-hash.ts';
import { PasswordHasher } from '../../src/passwords/password-hasher.ts';
import { DECOMPOSED, HASHED, HASHES } from './hashes.ts';

const SETTINGS = { memoryCost: 7168, timeCost: 1 };
const SALT = 'AQIDBAUGBwgJCgsMDQ4PEA';
const DERIVED = 'gAaxLnEhd+itJodF81XlgsxxseTpZXv2ZoI096eZLiQ';

const matches = matchesHash;

describe('Hashes of ours', () => {
  const passwords = [HASHED, '', 'a\0b', '\u{1f511}'.repeat(128), 'x'.repeat(100_000), 'a\ud800b'];

  it('C03 are what the reference implementation makes of the same passwords, and accepts', async () => {
    for (const password of passwords) {
      const ours = await hashPassword(password, SETTINGS);
      assert.equal(needsRehash(ours, SETTINGS), false);
      assert.equal(await argon2.verify(ours, password), true);
      const theirs = await argon2.hash(password, { ...SETTINGS, parallelism: 1 });
      assert.equal(needsRehash(theirs, SETTINGS), false);
      assert.equal(await matches(password, theirs), true);
      assert.equal(await matches(`${password}!`, theirs), false);
    }
  });
});

describe('Hashes of other programs', () => {
  for (const [kind, hash] of Object.entries(HASHES)) {
    it(`C03 are checked as what they are: ${kind}`, async () => {
      assert.equal(isSupportedHash(hash), true);
      assert.equal(await matches(HASHED, hash), true);
      assert.equal(await matches(HASHED.normalize('NFD'), hash), true);
      assert.equal(await matches(`${HASHED}!`, hash), false);
      assert.equal(await matches('', hash), false);
      assert.equal(needsRehash(hash, SETTINGS), true);
    });
  }

  for (const [kind, hash] of Object.entries(DECOMPOSED)) {
    it(`C03 match a password as it was typed if it was not normalised: ${kind}`, async () => {
      assert.equal(await matches('e\u0301'.repeat(12), hash), true);
      assert.equal(await matches('\u00e9'.repeat(12), hash), false);
    });
  }

  it('C04 are all tried as typed too, including those of our own form', async () => {
    const theirs = await argon2.hash('e\u0301'.repeat(12), { ...SETTINGS, parallelism: 1 });
    assert.equal(needsRehash(theirs, SETTINGS), false);
    assert.equal(await matches('e\u0301'.repeat(12), theirs), true);
    assert.equal(await matches('\u00e9'.repeat(12), theirs), false);
  });

  it('match the reference vectors of argon2, of both versions and several lanes', async () => {
    for (const hash of [
      '$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8',
      '$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc',
      '$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY',
    ]) {
      assert.equal(isSupportedHash(hash), true, hash);
      assert.equal(await matches('password', hash), true, hash);
    }
  });

  it('of bcrypt count 72 bytes, as they did, and accept no password with a NUL', async () => {
    const hash = '$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q';
    assert.equal(await matches(`${'x'.repeat(72)}another tail`, hash), true);
    assert.equal(await matches('x'.repeat(71), hash), false);
    assert.equal(await matches(`${'x'.repeat(72)}\0`, hash), false);
  });

  const unsupported: Record<string, string> = {
    'an empty text': '',
    'plain text': 'hunter2hunter2',
    'a bare digest': '5f4dcc3b5aa765d61d8327deb882cf99',
    md5crypt: '$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/',
    'bcrypt of a variant with a bug': HASHES['bcrypt, $2y$'].replace('$2y', '$2x'),
    'bcrypt of 2^31 rounds': HASHES['bcrypt, $2y$'].replace('$05', '$31'),
    'bcrypt of 2^3 rounds': HASHES['bcrypt, $2y$'].replace('$05', '$03'),
    'bcrypt cut off': HASHES['bcrypt, $2y$'].slice(0, -1),
    'argon2id of 4 GiB': `$argon2id$v=19$m=4194304,t=1,p=1$${SALT}$${DERIVED}`,
    'argon2id of a thousand passes': `$argon2id$v=19$m=65536,t=1000,p=1$${SALT}$${DERIVED}`,
    'argon2id of no pass': `$argon2id$v=19$m=65536,t=0,p=1$${SALT}$${DERIVED}`,
    'argon2id of 99 lanes': `$argon2id$v=19$m=65536,t=1,p=99$${SALT}$${DERIVED}`,
    'argon2id without lanes': `$argon2id$v=19$m=65536,t=1,t=1$${SALT}$${DERIVED}`,
    'argon2id of an unknown version': `$argon2id$v=20$m=65536,t=1,p=1$${SALT}$${DERIVED}`,
    'argon2id of few passes more than many lanes can afford': `$argon2id$v=19$m=128,t=249,p=16$${SALT}$${DERIVED}`,
    'argon2id of many passes and lanes': `$argon2id$v=19$m=128,t=8192,p=16$${SALT}$${DERIVED}`,
    'argon2id with a comma too many': `$argon2id$v=19$m=65536,t=1,p=1,$${SALT}$${DERIVED}`,
    'argon2id without commas': `$argon2id$v=19$m=65536t=1p=1$${SALT}$${DERIVED}`,
    'argon2id with a zero in front of a number': `$argon2id$v=19$m=065536,t=1,p=1$${SALT}$${DERIVED}`,
    'argon2id with bits to spare in its salt': `$argon2id$v=19$m=65536,t=1,p=1$${SALT.slice(0, -1)}B$${DERIVED}`,
    'argon2id with bits to spare': `$argon2id$v=19$m=65536,t=1,p=1$${SALT}$${DERIVED.slice(0, -1)}R`,
    'argon2id with a character to spare': `$argon2id$v=19$m=65536,t=1,p=1$${SALT}AAA$${DERIVED}`,
    'bcrypt with bits to spare in its salt': HASHES['bcrypt, $2b$'].replace('stuu', 'stuv'),
    'bcrypt with bits to spare': HASHES['bcrypt, $2b$'].replace(/q$/, 'r'),
    'scrypt of more rounds than its block allows': `$scrypt$ln=21,r=1,p=1$${SALT}$${DERIVED}`,
    'scrypt with bits to spare': `$scrypt$ln=14,r=8,p=1$${SALT}$${DERIVED.slice(0, -1)}R`,
    'pbkdf2 with bits to spare': `$pbkdf2-sha256$1000$${SALT}$${DERIVED.slice(0, -1)}R`,
    'pbkdf2 of Django with bits to spare': `pbkdf2_sha256$1000$salt$${DERIVED.slice(0, -1)}R=`,
    'scrypt of 2^31 rounds': `$scrypt$ln=31,r=8,p=1$${SALT}$${DERIVED}`,
    'scrypt of 512 MiB': `$scrypt$ln=19,r=8,p=1$${SALT}$${DERIVED}`,
    'scrypt of many lanes': `$scrypt$ln=17,r=8,p=999$${SALT}$${DERIVED}`,
    'scrypt of no size': `$scrypt$ln=14,r=0,p=1$${SALT}$${DERIVED}`,
    'pbkdf2 of ten million rounds': `$pbkdf2-sha256$i=10000000$${SALT}$${DERIVED}`,
    'pbkdf2 of no round': `$pbkdf2-sha256$i=0$${SALT}$${DERIVED}`,
    'pbkdf2 whose length is not what it says': `$pbkdf2-sha256$i=1000,l=64$${SALT}$${DERIVED}`,
    'pbkdf2 of many blocks': `$pbkdf2$2000000$${SALT}$${DERIVED}`,
    'pbkdf2 of an unknown digest': `$pbkdf2-md5$1000$${SALT}$${DERIVED}`,
    'pbkdf2 with four bytes': `$pbkdf2-sha256$1000$${SALT}$AAAAAA`,
    'pbkdf2 with a salt of a kilobyte': `$pbkdf2-sha256$1000$${'A'.repeat(1366)}$${DERIVED}`,
    'two lines': `${HASHES['bcrypt, $2y$']}\n`,
    'a megabyte': `$pbkdf2-sha256$1000$${'A'.repeat(1_000_000)}`,
  };
  for (const [what, hash] of Object.entries(unsupported)) {
    it(`C03 are refused at once when they are ${what}`, () => {
      const from = process.cpuUsage();
      assert.equal(isSupportedHash(hash), false, hash);
      assert.ok(process.cpuUsage(from).user < 50_000);
    });
  }
});

describe('PasswordHasher', () => {
  const log = { warn: () => {} };
  const hasher = new PasswordHasher(SETTINGS, log);
  const { signal } = new AbortController();
  const verify = (password: string, passwordHash: string | undefined) =>
    hasher.verify(async () => ({ passwordHash }), password, signal);

  it('C03 makes argon2id, and recognises hashes that it would no longer make', async () => {
    const hash = await hasher.hash(HASHED, signal);
    assert.match(hash, /^\$argon2id\$v=19\$/);
    const found = await verify(HASHED, hash);
    assert.deepEqual([found.matches, found.needsRehash], [true, false]);
    for (const other of [
      { memoryCost: 8192, timeCost: 1 },
      { memoryCost: 7168, timeCost: 2 },
    ]) {
      const { matches, needsRehash } = await new PasswordHasher(other, log).verify(
        async () => ({ passwordHash: hash as string | undefined }),
        HASHED,
        signal,
      );
      assert.deepEqual({ matches, needsRehash }, { matches: true, needsRehash: true });
    }
  });

  it('asks for no new hash if the password is wrong', async () => {
    const { matches, needsRehash } = await verify('wrong', HASHES['bcrypt, $2b$']);
    assert.deepEqual({ matches, needsRehash }, { matches: false, needsRehash: false });
  });

  it('C04 takes its time for a hash that it does not know, and is wrong', async () => {
    const { matches, needsRehash } = await verify('x', 'x');
    assert.deepEqual({ matches, needsRehash }, { matches: false, needsRehash: false });
  });

  it('C17 treats a hash as one that does not match if its check throws', async () => {
    const broken = {
      toString: () => {
        throw new Error('not a text');
      },
    } as unknown as string;
    const { matches, needsRehash } = await verify('x', broken);
    assert.deepEqual({ matches, needsRehash }, { matches: false, needsRehash: false });
    assert.equal(await hasher.matchesAny(HASHED, [broken, HASHES.scrypt], signal), true);
  });

  it('finds a password among several hashes, of which some may be unknown', async () => {
    const hashes = ['x', await hasher.hash('another one', signal), HASHES['bcrypt, $2b$']];
    assert.equal(await hasher.matchesAny(HASHED, hashes, signal), true);
    assert.equal(await hasher.matchesAny('a third one', hashes, signal), false);
    assert.equal(await hasher.matchesAny(HASHED, [], signal), false);
  });

  it('C12 lets checks of the slowest hash wait in the one lane, and drops those of callers who have gone', async () => {
    const slow = `$pbkdf2-sha512$3000000$${SALT}$${DERIVED}`;
    assert.equal(isSupportedHash(slow), true);
    const gone = new AbortController();
    const asked = Array.from({ length: 12 }, () =>
      hasher.matchesAny('x', Array(24).fill(slow), gone.signal),
    );
    const from = performance.now();
    setTimeout(() => gone.abort(new Error('gone')), 50);
    const outcomes = await Promise.allSettled(asked);
    assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    assert.ok(performance.now() - from < 60_000, `${performance.now() - from} ms`);
  });
});
