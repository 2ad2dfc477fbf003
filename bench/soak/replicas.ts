import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/servers.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { databaseEnvironment } from '../service/databases.ts';
import { type RunningService, startService } from '../service/service.ts';
import { type Addresses, type Door, doorTo } from './doors.ts';

/** After a replica of a rolling restart is ready, until the next one is taken away. */
const BETWEEN_MS = 1000;
const SURELY_GONE_MS = 10_000;

/** One of the replicas: it may be ended and started again, always at the same addresses. */
export class Replica {
  readonly name: string;
  readonly addresses: Addresses;
  readonly door: Door;
  /** Whether a load balancer would send calls here: it listens before it is ready. */
  isReady = false;
  readonly #start: () => Promise<RunningService>;
  #service: RunningService | undefined;

  private constructor(name: string, addresses: Addresses, start: () => Promise<RunningService>) {
    this.name = name;
    this.addresses = addresses;
    this.door = doorTo(addresses);
    this.#start = start;
  }

  /** Starts one, which writes its log into `directory`. */
  static async start(
    cleanups: Cleanups,
    name: string,
    env: Readonly<Record<string, string>>,
    directory: string,
  ): Promise<Replica> {
    const [grpc, http] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const dataDir = cleanups.directory();
    const log = openSync(join(directory, `${name.replaceAll(' ', '-')}.log`), 'a');
    const start = () =>
      startService(cleanups, {
        dataDir,
        log,
        env: { ...env, COUNTERSIGN_GRPC_ADDR: grpc, COUNTERSIGN_HTTP_ADDR: http },
      });
    const replica = new Replica(name, { grpc, http }, start);
    await replica.start();
    return replica;
  }

  /** Returns once it is ready. */
  async start(): Promise<void> {
    this.isReady = false;
    this.#service = await this.#start();
    this.isReady = true;
  }

  /** Ends it as a deployment does, and starts it again. */
  async restart(): Promise<void> {
    await this.#service?.stop();
    await this.start();
  }

  /** Ends it as the kernel does when memory is short, and starts it again. */
  async killAndStart(): Promise<void> {
    const pid = this.#service?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    for (const end = Date.now() + SURELY_GONE_MS; isThere(pid) && Date.now() < end; )
      await sleep(10);
    await this.start();
  }
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Ends and starts one replica after the other. */
export async function restartAll(replicas: readonly Replica[]): Promise<void> {
  for (const replica of replicas) {
    await replica.restart();
    await sleep(BETWEEN_MS);
  }
}

/** How replicas of a soak are set up. Limits and passwords cost what they cost in production. */
export function environment(databaseUrl: string, redisUrl: string): Record<string, string> {
  return {
    ...databaseEnvironment(databaseUrl),
    REDIS_URL: redisUrl,
    COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
    COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
    COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
    COUNTERSIGN_ACCESS_TOKEN_TTL: '10m',
    COUNTERSIGN_SHUTDOWN_GRACE: '10s',
    COUNTERSIGN_LOG_LEVEL: 'warn',
  };
}
