import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { type Child, type Environment, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { EVERY_FLOOD } from '../harness/scale.ts';
import { type Flood, waysOf } from './floods/flood.ts';
import { RawHttp2 } from './frames.ts';

/**
 * The promise is for a machine that does nothing else, as `npm run bench` and `npm run test:long` have it:
 * beside other work V8 collects garbage later.
 */
const GROWTH_BYTES = (EVERY_FLOOD ? 100 : 160) * 1024 * 1024;
const PAUSE_MS = 50;

/** How long the memory of what is over may stay, with the connections still open. */
const SETTLES_MS = 10_000;

/** A separate service for each test, as a process, so that only its callers make it grow. */
export class AttackedService {
  #service: Child | undefined;
  #restingBytes = 0;
  readonly #open: RawHttp2[] = [];
  #good: { stop: () => Promise<number> } | undefined;

  constructor(env: Environment) {
    beforeEach(async () => {
      this.#service = await spawnService({
        DATABASE_URL: await createDatabase(),
        COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
        COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
        COUNTERSIGN_LOG_LEVEL: 'error',
        ...env,
      });
      atEnd(() => this.#service?.end('SIGKILL'));
      await this.#warmUp();
      this.#restingBytes = this.#residentBytes();
      this.#good = this.#keepServing();
    });
    afterEach(async () => {
      await this.#good?.stop().catch(() => {});
      for (const raw of this.#open.splice(0)) raw.destroy();
      await this.#service?.end('SIGKILL');
    });
  }

  /** Attacks it, and holds it to its memory. */
  async withstands(flood: Flood): Promise<void> {
    const keep = (raw: RawHttp2) => {
      this.#open.push(raw);
      return raw;
    };
    await flood.attack({
      ways: waysOf(this.#service as Child),
      connect: async (address) => keep(await RawHttp2.to(address)),
      connectDeaf: async (address) => keep(await RawHttp2.toDeaf(address)),
      connectSilent: async (address) => keep(await RawHttp2.toSilent(address)),
    });
    await this.#staysSmall();
  }

  /** While the connections are still open, good clients are served, and memory is bounded. */
  async #staysSmall(): Promise<void> {
    await eventually(() => this.#open.every(({ closed, hasSent }) => closed || hasSent));
    await this.#serves();
    await this.#good?.stop();
    const grown = () => this.#residentBytes() - this.#restingBytes;
    await eventually(() => grown() < GROWTH_BYTES, SETTLES_MS).catch(() => {
      assert.fail(`grew by ${Math.round(grown() / 1e6)} MB`);
    });
  }

  /**
   * Serves until V8 has used its young generation, as it has after some seconds of any work: the bound is
   * for what callers make it hold.
   */
  async #warmUp(): Promise<void> {
    const { client } = clients(this.#service as Child);
    const requests = Array.from({ length: 50 }, () => ({ token: 'x'.repeat(1000) }));
    for (let round = 0; round < 40; round += 1) {
      for (const protocol of ['grpc', 'connect'] as const) {
        await client(SessionService, protocol).batchIntrospectTokens({ requests });
      }
    }
    await this.#serves();
  }

  async #serves(): Promise<void> {
    const { client } = clients(this.#service as Child);
    for (const protocol of ['grpc', 'connect'] as const) {
      const answer = await client(SessionService, protocol).introspectToken({ token: 'x' });
      assert.equal(answer.active, false);
    }
  }

  /**
   * Calls again and again until `stop`, which fails if one of the calls did. It leaves the processor to
   * the attack in between.
   */
  #keepServing() {
    let isOver = false;
    const calls = (async () => {
      let served = 0;
      for (; !isOver; served += 1) {
        await this.#serves();
        await sleep(PAUSE_MS);
      }
      return served;
    })();
    calls.catch(() => {});
    return {
      stop: () => {
        isOver = true;
        return calls;
      },
    };
  }

  /** What Linux says that the process holds; elsewhere nothing is known. */
  #residentBytes(): number {
    const path = `/proc/${this.#service?.process.pid}/status`;
    if (!existsSync(path)) return 0;
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(path, 'utf8'))?.[1]) * 1024;
  }
}
