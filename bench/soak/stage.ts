import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { redis } from '../../test/servers.ts';
import { TcpProxy } from '../../test/tcp-proxy.ts';
import { WebhookTarget } from '../load/webhook-target.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { runSql, startDatabase } from '../service/databases.ts';
import { FAULTS, type Fault, type PlannedFault } from './fault-plan.ts';
import type { FaultWindow } from './judge.ts';
import { environment, Replica, restartAll } from './replicas.ts';

/** Within this long after a fault everything is whole again (W06, W07). */
const RECOVERY_MS = 2000;

/** Everything that takes part in a soak, and what can happen to it. */
export class Stage {
  readonly replicas: readonly Replica[];
  readonly target: WebhookTarget;
  /** Of the target, through its proxy. */
  readonly targetUrl: string;
  /** Of the database, past its proxy. */
  readonly databaseUrl: string;
  readonly windows: FaultWindow[] = [];
  readonly #proxies: Readonly<Record<'database' | 'redis' | 'target', TcpProxy>>;
  readonly recoveryMs = RECOVERY_MS;
  #startedAt = performance.now();

  private constructor(parts: {
    replicas: Replica[];
    target: WebhookTarget;
    targetUrl: string;
    databaseUrl: string;
    proxies: Record<'database' | 'redis' | 'target', TcpProxy>;
  }) {
    this.replicas = parts.replicas;
    this.target = parts.target;
    this.targetUrl = parts.targetUrl;
    this.databaseUrl = parts.databaseUrl;
    this.#proxies = parts.proxies;
  }

  /** Starts PostgreSQL, Redis, a target of webhooks and two replicas, which log into `directory`. */
  static async set(cleanups: Cleanups, directory: string): Promise<Stage> {
    mkdirSync(directory, { recursive: true });
    const databaseUrl = await startDatabase(cleanups);
    const shared = await redis();
    cleanups.add(() => shared.stop());
    const target = await WebhookTarget.start(cleanups);
    const [database, toRedis, toTarget] = [
      await proxied(cleanups, databaseUrl),
      await proxied(cleanups, shared.url),
      await proxied(cleanups, target.url),
    ];
    const env = {
      ...environment(database.url, toRedis.url),
      ...target.env,
      COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: new URL(toTarget.url).port,
    };
    const replicas = [
      await Replica.start(cleanups, 'replica 1', env, directory),
      await Replica.start(cleanups, 'replica 2', env, directory),
    ];
    const proxies = { database: database.proxy, redis: toRedis.proxy, target: toTarget.proxy };
    return new Stage({ replicas, target, targetUrl: toTarget.url, databaseUrl, proxies });
  }

  /** From now on the time of the soak counts. */
  begin(): void {
    this.#startedAt = performance.now();
  }

  /** Milliseconds since the start, `performance.now()` if no other moment is given. */
  since(moment = performance.now()): number {
    return moment - this.#startedAt;
  }

  /** Lets a fault happen, and returns when it is over. */
  async suffer({ fault, turn }: Pick<PlannedFault, 'fault' | 'turn'>): Promise<void> {
    const window = { fault, from: this.since(), until: Number.POSITIVE_INFINITY };
    this.windows.push(window);
    try {
      await this.#happening(fault, turn);
    } finally {
      window.until = this.since() + RECOVERY_MS;
    }
  }

  async #happening(fault: Fault, turn: number): Promise<void> {
    const { database, redis, target } = this.#proxies;
    switch (fault) {
      case 'database crashed':
        return crash(this.databaseUrl);
      case 'database frozen':
        return awhile(fault, database, () => database.freeze());
      case 'Redis killed':
        return awhile(fault, redis, () => redis.down());
      case 'Redis frozen':
        return awhile(fault, redis, () => redis.freeze());
      case 'webhook target away':
        return awhile(fault, target, () => target.down());
      case 'replica killed':
        return this.replicas[turn % this.replicas.length]?.killAndStart();
      case 'rolling restart':
        return restartAll(this.replicas);
    }
  }
}

async function awhile(fault: Fault, proxy: TcpProxy, begin: () => void): Promise<void> {
  begin();
  await sleep(FAULTS[fault]);
  proxy.open();
}

async function proxied(cleanups: Cleanups, url: string): Promise<{ proxy: TcpProxy; url: string }> {
  const proxy = new TcpProxy(url);
  cleanups.add(() => proxy.close());
  const through = await proxy.listen(url);
  return { proxy, url: url.endsWith('/') ? through : through.replace(/\/$/, '') };
}

/**
 * Kills one process of the server. The others then end all connections, and recover what was written from
 * the log, as after a loss of power. Returns once it answers again.
 */
async function crash(databaseUrl: string): Promise<void> {
  const [row] = await runSql<{ pid: number }>(
    databaseUrl,
    "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1",
  );
  if (row) process.kill(row.pid, 'SIGKILL');
  await sleep(100);
  while (!(await runSql(databaseUrl, 'select 1').catch(() => undefined))) await sleep(50);
}
