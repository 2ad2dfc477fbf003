import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { atEnd } from '../harness/at-end.ts';
import { runCommand } from '../harness/command.ts';
import { eventually } from '../harness/eventually.ts';
import { createAccount, PASSWORD } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { PATRONI } from '../harness/scale.ts';
import { DEFAULT_LIMITS, type Service, startReplica, startService } from '../harness/service.ts';
import { lackingPatroni, type PatroniNode, startPatroni } from '../patroni.ts';

const PEOPLE = 4;
/** Twenty seconds until another node takes over, and some for a loaded machine. */
const FAILOVER_MS = 120_000;

type Person = { email: string; refreshToken: string };

/**
 * People who refresh their session on any replica, and sign in once more and out again, for as long as the
 * test lasts. Whoever is told UNAVAILABLE tries again with the same token.
 */
class Traffic {
  readonly #services: Service[];
  readonly #people: Person[];
  /** Tokens of sessions whose end was acknowledged. */
  readonly ended: { refreshToken: string; accessToken: string }[] = [];
  readonly failures = new Set<string>();
  acknowledged = 0;
  #running = true;
  #work: Promise<unknown> = Promise.resolve();

  constructor(services: Service[], people: Person[]) {
    this.#services = services;
    this.#people = people;
  }

  start(): void {
    atEnd(() => {
      this.#running = false;
    });
    this.#work = Promise.all(this.#people.map((person, place) => this.#live(person, place)));
    this.#work.catch((error) => {
      this.failures.add(`stopped: ${error}`);
    });
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#work;
  }

  async #live(person: Person, place: number): Promise<void> {
    for (let turn = place; this.#running; turn += 1) {
      const { auth } = this.#services[turn % this.#services.length] as Service;
      const refreshed = await this.#try(() => auth.refreshToken(person));
      person.refreshToken = refreshed.tokens?.refreshToken ?? '';
      const { outcome } = await this.#try(() => auth.login({ ...person, password: PASSWORD }));
      assert.ok(outcome.case === 'tokens');
      const { refreshToken, accessToken } = outcome.value;
      await this.#try(() => auth.logout({ refreshToken }));
      this.ended.push({ refreshToken, accessToken });
      this.acknowledged += 3;
    }
  }

  async #try<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      const attempt = call();
      const answer = await attempt.catch(() => undefined);
      if (answer !== undefined) return answer;
      const { code, reason, retryAfterMs } = await refusal(attempt);
      this.failures.add(`${Code[code]} ${reason}${retryAfterMs ? '' : ' without RetryInfo'}`);
      if (code !== Code.Unavailable && code !== Code.ResourceExhausted) await attempt;
      await sleep(Math.min(retryAfterMs ?? 100, 1000));
    }
  }
}

const skip = PATRONI === 0 ? 'takes npm run test:long' : lackingPatroni();

describe('Patroni behind HAProxy', { skip }, () => {
  it('W06 S14 keeps what was acknowledged when the leader is killed, and when it is frozen', async () => {
    const { url, leader, standby } = await startPatroni();
    const env = { DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    // A loaded machine may seem to have no leader for a moment.
    await eventually(async () => (await runCommand(['migrate'], env)).code === 0, 60_000);
    const service = await startService({ databaseUrl: url, env: DEFAULT_LIMITS });
    const services = [service, await startReplica(service)];
    const people: Person[] = [];
    for (let count = 0; count < PEOPLE; count += 1) {
      const email = await createAccount(service);
      const { outcome } = await service.auth.login({ email, password: PASSWORD });
      assert.ok(outcome.case === 'tokens');
      people.push({ email, refreshToken: outcome.value.refreshToken });
    }
    const traffic = new Traffic(services, people);
    traffic.start();
    await goesOn(traffic);

    await leader.kill();
    await takesOver(standby, services, traffic);
    leader.start();
    await eventually(() => leader.is('synchronous'), FAILOVER_MS);
    await goesOn(traffic);

    standby.signal('SIGSTOP');
    await takesOver(leader, services, traffic);
    standby.signal('SIGCONT');
    await eventually(() => standby.is('replica'), FAILOVER_MS);
    await goesOn(traffic);

    await traffic.stop();
    const allowed = /^(Unavailable|ResourceExhausted) [A-Z_]+$/;
    for (const failure of traffic.failures) assert.match(failure, allowed);
    assert.ok(traffic.failures.size > 0);
    for (const { refreshToken, accessToken: token } of traffic.ended) {
      const { reason } = await refusal(service.auth.refreshToken({ refreshToken }));
      assert.equal(reason, 'TOKEN_REVOKED');
      for (const { sessions } of services) {
        assert.equal((await sessions.introspectToken({ token })).active, false);
      }
    }
    for (const person of people) {
      assert.ok((await service.auth.refreshToken(person)).tokens);
    }
  });
});

async function goesOn(traffic: Traffic): Promise<void> {
  const before = traffic.acknowledged;
  await eventually(() => traffic.acknowledged > before + 20, 60_000).catch((error) => {
    throw new Error(`nobody is served any more: ${[...traffic.failures].join('; ')}`, {
      cause: error,
    });
  });
}

/** Waits until the other node leads, and every replica of the service is whole again. */
async function takesOver(next: PatroniNode, services: Service[], traffic: Traffic): Promise<void> {
  await eventually(() => next.is('primary'), FAILOVER_MS);
  await goesOn(traffic);
  for (const { app } of services) {
    await eventually(async () => (await app.readiness()).status === 'ready');
  }
}
