import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { publishedKeys } from '../forge.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { keyIn, operator } from './operator.ts';

const MINUTE = 60_000;
const MESH_CACHE_MS = 20 * MINUTE;
const ROTATIONS = 3;
const PEOPLE = 6;
/** A step of the clock must not be the end of a token that is on its way. */
const FRESH_MS = 3 * MINUTE;

/** Verifies as a mesh does: by the key set alone, which it fetches every 20 minutes and not earlier. */
class MeshReader {
  readonly #service: Service;
  #keys: ReturnType<typeof publishedKeys> = Promise.resolve([]);
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(service: Service) {
    this.#service = service;
  }

  async verify(token: string): Promise<void> {
    const now = this.#service.clock.now();
    if (now.getTime() - this.#askedAt >= MESH_CACHE_MS) {
      this.#askedAt = now.getTime();
      this.#keys = publishedKeys(this.#service);
    }
    await jwtVerify(token, createLocalJWKSet({ keys: await this.#keys }), {
      currentDate: this.#service.clock.now(),
    });
  }
}

describe('The signing keys, rotated under load', () => {
  let replicas: [Service, Service];
  let meshes: [MeshReader, MeshReader];
  const clock = new TestClock();
  const issued: string[] = [];
  const lost: unknown[] = [];
  /** How far each worker has come. */
  const steps = Array.from({ length: PEOPLE }, () => -1);
  let checks = 0;
  let running = true;

  before(async () => {
    const first = await startService({ clock });
    replicas = [first, await startReplica(first)];
    meshes = [new MeshReader(replicas[0]), new MeshReader(replicas[1])];
  });

  const isFresh = (token: string) =>
    Number(decodeJwt(token).exp) * 1000 - clock.now().getTime() > FRESH_MS;

  async function check(token: string): Promise<void> {
    for (const { sessions } of replicas) {
      const { active } = await sessions.introspectToken({ token });
      if (!active) lost.push(`inactive by ${decodeProtectedHeader(token).kid}`);
    }
    for (const mesh of meshes) await mesh.verify(token).catch((error) => lost.push(String(error)));
    checks += 1;
  }

  /** Refreshes on one replica and the other in turn, and checks the new token and an earlier one. */
  async function work(worker: number): Promise<void> {
    let { accessToken, refreshToken } = await signedIn(replicas[0]);
    for (let i = 0; running; i += 1) {
      const { auth } = replicas[i % 2 === 0 ? 0 : 1];
      const { tokens } = await auth.refreshToken({ refreshToken });
      ({ accessToken = '', refreshToken = '' } = tokens ?? {});
      issued.push(accessToken);
      await check(accessToken);
      const earlier = issued[Math.floor(Math.random() * issued.length)] ?? '';
      if (isFresh(earlier)) await check(earlier);
      steps[worker] = i;
    }
  }

  async function pass(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      clock.advance(MINUTE);
      // However long a step takes by the real clock, no token grows old in the middle of one.
      const from = [...steps];
      await eventually(() => steps.every((step, worker) => step > (from[worker] ?? 0)));
    }
  }

  it('S12 lose no verification: by introspection on two replicas, or by key sets cached for 20 minutes', async () => {
    const workers = Array.from({ length: PEOPLE }, (_, worker) => work(worker));
    const signed = new Set<string>();
    await pass(5);
    for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
      await pass(21);
      const admin = await operator(replicas[rotation % 2 === 0 ? 0 : 1]);
      const { keyId } = await keyIn(admin, 'ACTIVE');
      signed.add(keyId);
      assert.equal((await admin.rotateSigningKey({ activeKeyId: keyId })).rotated, true);
    }
    await pass(5);
    running = false;
    await Promise.all(workers);
    assert.deepEqual(lost, []);
    const kids = new Set(issued.map((token) => decodeProtectedHeader(token).kid));
    assert.equal(kids.size, ROTATIONS + 1);
    assert.ok([...signed].every((kid) => kids.has(kid)));
    assert.ok(checks > 100, `${checks}`);
  });

  it('S12 lose none by introspection if each rotation is forced right after the last', async () => {
    running = true;
    // Without Redis: the other replica meets keys that it has not been told of.
    const first = await startService({ env: { REDIS_URL: '' } });
    const pair = [first, await startReplica(first)] as const;
    const { auth } = first;
    let { refreshToken } = await signedIn(first);
    const tokens: string[] = [];
    const refreshing = (async () => {
      while (running) {
        const answer = await auth.refreshToken({ refreshToken });
        refreshToken = answer.tokens?.refreshToken ?? '';
        tokens.push(answer.tokens?.accessToken ?? '');
        const token = tokens.at(-1) ?? '';
        assert.equal((await pair[1].sessions.introspectToken({ token })).active, true);
      }
    })();
    const admin = await operator(first);
    for (let i = 0; i < 10; i += 1) await admin.rotateSigningKey({ force: true });
    await sleep(100);
    running = false;
    await refreshing;
    for (const token of tokens) {
      for (const { sessions } of pair) {
        assert.equal((await sessions.introspectToken({ token })).active, true);
      }
    }
    assert.ok(new Set(tokens.map((token) => decodeProtectedHeader(token).kid)).size > 2);
  });
});
