import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { decodeProtectedHeader } from 'jose';
import { Forger, publishedKeys } from '../forge.ts';
import { untilFileEnds } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, signedIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const MINUTE = 60_000;

/**
 * One story, told in order: replicas are restarted with another COUNTERSIGN_SIGNING_ALG. Each looks
 * after the keys as it starts.
 */
describe('The signing keys, when the algorithm is changed', () => {
  /** Keeps running with the old setting, as if nobody had restarted it yet. */
  let old: Service;
  let latest: Service;
  /** Signs with the key that is to be replaced, as a replica does that has not noticed. */
  let unaware: Forger;
  let oldToken: string;
  let newToken: string;
  let oldKid: string | undefined;

  before(async () => {
    old = await startService();
    oldToken = (await signedIn(old)).accessToken;
    oldKid = decodeProtectedHeader(oldToken).kid;
  });

  const restart = () =>
    untilFileEnds(() => startReplica(old, { env: { COUNTERSIGN_SIGNING_ALG: 'EdDSA' } }));

  const algorithms = async (service: Service) =>
    (await publishedKeys(service)).map(({ alg }) => alg).sort();

  const sign = async (service: Service) => {
    const { accessToken } = await signedIn(service);
    return { accessToken, alg: decodeProtectedHeader(accessToken).alg };
  };

  it('S12 are published at once and sign nothing yet', async () => {
    latest = await restart();
    assert.deepEqual(await algorithms(latest), ['ES256', 'EdDSA']);
    assert.equal((await sign(latest)).alg, 'ES256');
  });

  it('S12 sign nothing for 20 minutes, which is how long others cache the old set', async () => {
    old.clock.advance(20 * MINUTE - 10_000);
    latest = await restart();
    assert.equal((await sign(latest)).alg, 'ES256');
    oldToken = (await sign(old)).accessToken;
    unaware = await Forger.of(old);
  });

  it('S12 sign after that', async () => {
    old.clock.advance(10_000);
    latest = await restart();
    const { accessToken, alg } = await sign(latest);
    assert.equal(alg, 'EdDSA');
    newToken = accessToken;
    assert.deepEqual(await algorithms(latest), ['ES256', 'EdDSA', 'EdDSA']);
  });

  it('S12 are accepted from a replica that has not noticed yet', async () => {
    const token = await unaware.token();
    assert.equal(decodeProtectedHeader(token).alg, 'ES256');
    assert.equal(await isActive(latest, token), true);
  });

  it('S12 are found by a replica that was running all along', async () => {
    await eventually(() => isActive(old, newToken));
  });

  it('S12 verify earlier tokens, on every replica', async () => {
    assert.equal(await isActive(latest, oldToken), true);
    assert.equal(await isActive(old, oldToken), true);
  });

  it('S12 keep the old one until its last token has expired', async () => {
    old.clock.advance(9 * MINUTE + 30_000);
    latest = await restart();
    assert.ok((await publishedKeys(latest)).some(({ kid }) => kid === oldKid));
    assert.equal(await isActive(latest, oldToken), true);
  });

  it('S12 drop the old one after that', async () => {
    old.clock.advance(6 * MINUTE);
    latest = await restart();
    assert.deepEqual(await algorithms(latest), ['EdDSA', 'EdDSA']);
    assert.equal(await isActive(latest, oldToken), false);
    const { accessToken } = await sign(latest);
    assert.equal(await isActive(latest, accessToken), true);
  });
});
