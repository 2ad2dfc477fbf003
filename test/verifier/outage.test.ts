import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import type { VerifierOptions } from '../../packages/verifier/src/options.ts';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { MachineClock, reasonAt, untilReason, verifierAt, verifierOf } from './verifiers.ts';

const limits = { checkpointMs: 100 };
const AWAY = 'DEPENDENCY_UNAVAILABLE';
const BOUND_MS = 15_000;

let service: Service;

before(async () => {
  service = await startService({ limits });
});

/** A verifier whose connections to the service pass through a proxy. */
async function behindProxy(options: Partial<VerifierOptions> = {}, isDown = false) {
  const target = `http://${service.app.httpAddress}`;
  const proxy = new TcpProxy(target);
  const url = await proxy.listen(target);
  atEnd(() => proxy.close());
  if (isDown) proxy.down();
  const machine = new MachineClock();
  return { proxy, machine, verifier: verifierAt(url, { clock: machine, ...options }) };
}

/** A verifier that can be kept from hearing revocations, and from nothing else. */
function deafened(options: Partial<VerifierOptions> = {}) {
  const machine = new MachineClock();
  const cuts = new Set<AbortController>();
  let isDeaf = false;
  const listen: typeof fetch = (input, init) => {
    if (!String(input).endsWith('/WatchRevocations')) return fetch(input, init);
    if (isDeaf) throw new TypeError('fetch failed');
    const cut = new AbortController();
    cuts.add(cut);
    init?.signal?.addEventListener('abort', () => cut.abort(init.signal?.reason));
    return fetch(input, { ...init, signal: cut.signal });
  };
  const deafen = () => {
    isDeaf = true;
    for (const cut of cuts) cut.abort();
    machine.pass(BOUND_MS);
  };
  const hear = () => {
    isDeaf = false;
  };
  return {
    deafen,
    hear,
    machine,
    verifier: verifierOf(service, { clock: machine, fetch: listen, ...options }),
  };
}

describe('A verifier that starts while the service is away', () => {
  for (const whileStale of ['refuse', 'ask', 'accept'] as const) {
    it(`M04 says so, whatever it is told to do (${whileStale}), and recovers`, async () => {
      const { accessToken } = await signedIn(service);
      const options = { whileStale, acceptForMs: 3_600_000 };
      const { proxy, verifier } = await behindProxy(options, true);
      assert.equal(verifier.state, 'starting');
      assert.equal(await reasonAt(verifier, accessToken), AWAY);
      await assert.rejects(verifier.ready(10), { reason: AWAY, httpStatus: 503 });
      proxy.open();
      await verifier.ready(60_000);
      await untilReason(verifier, accessToken, undefined);
    });
  }
});

describe('A verifier in an outage', () => {
  it('M04 goes on within its bound, then refuses as UNAVAILABLE, and never as a bad token', async () => {
    const { proxy, machine, verifier } = await behindProxy();
    const states: string[] = [];
    await verifier.ready();
    verifier.on('stale', () => states.push('stale'));
    verifier.on('ready', () => states.push('ready'));
    const [known, unknown] = [await signedIn(service), await signedIn(service)];
    assert.equal(await reasonAt(verifier, known.accessToken), undefined);
    proxy.down();
    machine.pass(BOUND_MS / 2);
    assert.equal(await reasonAt(verifier, known.accessToken), undefined);
    assert.equal(await reasonAt(verifier, unknown.accessToken), undefined);
    machine.pass(BOUND_MS / 2);
    await untilReason(verifier, known.accessToken, AWAY);
    assert.equal(await reasonAt(verifier, unknown.accessToken), AWAY);
    assert.equal(verifier.state, 'stale');
    proxy.open();
    await untilReason(verifier, known.accessToken, undefined);
    await eventually(() => states.includes('stale') && states.at(-1) === 'ready');
  });

  it('M04 notices a machine that slept, by either of its clocks', async () => {
    const { proxy, machine, verifier } = await behindProxy();
    const { accessToken } = await signedIn(service);
    assert.equal(await reasonAt(verifier, accessToken), undefined);
    proxy.down();
    machine.set(3_600_000);
    assert.equal(await reasonAt(verifier, accessToken), AWAY);
  });

  it('M04 notices a stream that went silent, and refuses what was revoked meanwhile', async () => {
    const { proxy, machine, verifier } = await behindProxy();
    const { accessToken, refreshToken } = await signedIn(service);
    assert.equal(await reasonAt(verifier, accessToken), undefined);
    proxy.freeze();
    await service.auth.logout({ refreshToken });
    machine.pass(BOUND_MS);
    await untilReason(verifier, accessToken, AWAY);
    proxy.open();
    await untilReason(verifier, accessToken, 'TOKEN_REVOKED');
  });

  it('M04 accepts for as long as its owner chose, and not longer', async () => {
    const acceptForMs = 120_000;
    const { proxy, machine, verifier } = await behindProxy({ whileStale: 'accept', acceptForMs });
    const [known, unknown] = [await signedIn(service), await signedIn(service)];
    assert.equal(await reasonAt(verifier, known.accessToken), undefined);
    proxy.down();
    machine.pass(acceptForMs / 2);
    assert.equal(verifier.state, 'stale');
    assert.equal(await reasonAt(verifier, known.accessToken), undefined);
    assert.equal(await reasonAt(verifier, unknown.accessToken), undefined);
    machine.pass(acceptForMs / 2);
    await untilReason(verifier, known.accessToken, AWAY);
  });

  it('M04 asks, if its owner chose that, and gets the answer of this moment', async () => {
    const { deafen, hear, verifier } = deafened({ whileStale: 'ask' });
    const [good, bad] = [await signedIn(service), await signedIn(service)];
    const subject = (await verifier.verify(good.accessToken)).subject;
    assert.equal(await reasonAt(verifier, bad.accessToken), undefined);
    deafen();
    assert.equal(verifier.state, 'stale');
    await service.auth.logout({ refreshToken: bad.refreshToken });
    assert.equal(await reasonAt(verifier, bad.accessToken), 'TOKEN_REVOKED');
    const principal = await verifier.verify(good.accessToken);
    assert.equal(principal.subject, subject);
    assert.equal(principal.sessionId, good.sessionId);
    assert.equal(await reasonAt(verifier, 'a.b.c'), 'TOKEN_INVALID');
    hear();
    await verifier.ready(60_000);
    assert.equal(await reasonAt(verifier, bad.accessToken), 'TOKEN_REVOKED');
  });

  it('M04 asks about each use of an API key while it does not hear', async () => {
    const { deafen, verifier } = deafened();
    const owner = await withRoles(service, 'user', 'admin');
    const { id, secret } = await newKey(service, owner);
    await verifier.verify(secret);
    deafen();
    assert.equal(await reasonAt(verifier, secret), undefined);
    await service.client(ApiKeyService, 'grpc', owner.accessToken).revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonAt(verifier, secret), 'TOKEN_REVOKED');
  });

  it('S12 refuses a key that was revoked meanwhile, and knows the one that replaced it', async () => {
    const own = await startService({ limits });
    const admin = await withRoles(own, 'user', 'admin');
    const target = `http://${own.app.httpAddress}`;
    const proxy = new TcpProxy(target);
    const machine = new MachineClock();
    const verifier = verifierAt(await proxy.listen(target), { clock: machine });
    atEnd(() => proxy.close());
    const old = await signedIn(own);
    assert.equal(await reasonAt(verifier, old.accessToken), undefined);
    proxy.down();
    const keys = own.client(AdminService, 'grpc', admin.accessToken);
    const { kid } = JSON.parse(
      Buffer.from(old.accessToken.split('.')[0] ?? '', 'base64url').toString(),
    );
    await keys.revokeSigningKey({ keyId: kid, reason: 'leaked' });
    const fresh = await signedIn(own);
    machine.pass(BOUND_MS);
    proxy.open();
    await untilReason(verifier, old.accessToken, 'TOKEN_REVOKED');
    await untilReason(verifier, fresh.accessToken, undefined);
  });
});

describe('A verifier with more revocations than it may hold', () => {
  it('M04 does not go by a part of them', async () => {
    for (let i = 0; i < 3; i += 1) {
      const { refreshToken } = await signedIn(service);
      await service.auth.logout({ refreshToken });
    }
    const { accessToken } = await signedIn(service);
    const verifier = verifierOf(service, { maxRevocations: 2 });
    const errors: string[] = [];
    verifier.on('error', ({ message }) => errors.push(message));
    assert.equal(await reasonAt(verifier, accessToken), AWAY);
    assert.ok(verifier.sizes.revocations <= 3);
    assert.match(String(errors), /maxRevocations/);
    assert.equal(
      await reasonAt(verifierOf(service, { maxRevocations: 2, whileStale: 'ask' }), accessToken),
      undefined,
    );
  });
});
