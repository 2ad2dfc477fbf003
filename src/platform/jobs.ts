import { setTimeout as sleep } from 'node:timers/promises';
import { type JobResult, PgBoss } from 'pg-boss';
import { errorFields, type Log } from './log.ts';
import { type EntityManager, query } from './sql.ts';
import type { SqlDatabase } from './sql-database.ts';

const SCHEMA = 'jobs';
/** Retries for days: after 5 s, 10 s, 20 s … at most 30 minutes apart, with jitter. */
const RETRY = { retryLimit: 300, retryBackoff: true, retryDelay: 5, retryDelayMax: 1800 };
const KEEP_FINISHED_SECONDS = 24 * 3600;
const WORKER_POLL_SECONDS = 1;
/** How many jobs a replica takes at once. After a full batch it takes the next without delay. */
const BATCH = 10;
/** A job must end within this time. After that, another replica performs it again. */
const JOB_TIMEOUT_SECONDS = 60;
const STOP_TIMEOUT_MS = 5000;

/** What waits in a queue. */
export type Backlog = { queue: string; count: number; oldestSeconds: number };

/** More jobs than these are as bad, and take long to count. */
const MOST_COUNTED = 10_000;

/** The library's own queues begin with underscores. */
const BACKLOG = `
  select q.name as queue, waiting.count, waiting."oldestSeconds"
  from jobs.queue q, lateral (
    select count(*) as count,
      coalesce(extract(epoch from now() - min(created_on)), 0)::float8 as "oldestSeconds"
    from (
      select created_on from jobs.job
      where name = q.name and state < 'active' order by created_on limit $1
    ) counted
  ) waiting
  where q.name not like '\\_%'`;

type Job = { id: string; data: { body: string }; signal: AbortSignal; createdOn?: Date };

/** Performs a job of a queue. It may be called more than once for one job. */
export type JobHandler = (data: string, jobId: string, signal: AbortSignal) => Promise<void>;

/**
 * The queues of jobs (outbox): a job that a transaction enqueues is performed if and only if the
 * transaction commits, at least once, and on any replica. Its data is a string that is meaningless
 * without the master key.
 */
export class Jobs {
  readonly #boss: PgBoss;
  readonly #database: SqlDatabase;
  readonly #log: Log;
  readonly #workers = new Map<string, string>();

  constructor(database: SqlDatabase, log: Log) {
    this.#database = database;
    this.#log = log;
    this.#boss = new PgBoss({
      schema: SCHEMA,
      db: { executeSql: (sql, values) => database.script(sql, values) },
      // Only `countersign migrate` and the embedded default create and change its tables.
      migrate: false,
      createSchema: false,
      schedule: false,
    });
    this.#boss.on('error', (error) => {
      log.warn({ component: 'jobs', ...errorFields(error), stack: undefined }, 'job queue error');
    });
  }

  /** Creates or updates the tables of the queues, and the named queues. */
  static async migrate(database: SqlDatabase, queues: readonly string[]): Promise<void> {
    const boss = new PgBoss({
      schema: SCHEMA,
      db: { executeSql: (sql, values) => database.script(sql, values) },
      supervise: false,
      schedule: false,
    });
    boss.on('error', () => {});
    await boss.start();
    for (const name of queues) {
      await boss.createQueue(name, {
        ...RETRY,
        expireInSeconds: JOB_TIMEOUT_SECONDS,
        deleteAfterSeconds: KEEP_FINISHED_SECONDS,
      });
    }
    await boss.stop({ close: false, graceful: false });
  }

  /** What waits in each queue: how many jobs, `MOST_COUNTED` at most, and how old (s) the oldest is. */
  async backlog(): Promise<Backlog[]> {
    const { rows } = await this.#database.script(BACKLOG, [MOST_COUNTED]);
    return (rows as Backlog[]).map(({ queue, count, oldestSeconds }) => {
      return { queue, count: Number(count), oldestSeconds: Number(oldestSeconds) };
    });
  }

  async start(): Promise<void> {
    await this.#boss.start();
  }

  /**
   * Makes this replica perform the jobs of a queue, for which it looks every `pollSeconds`: those that it
   * takes at once together or, `inOrder`, one after the other, the oldest first. A handler that throws is
   * called again later.
   */
  async work(
    queue: string,
    handler: JobHandler,
    { inOrder = false, pollSeconds = WORKER_POLL_SECONDS } = {},
  ): Promise<void> {
    const perform = (job: Job) => this.#perform(queue, handler, job);
    const options = {
      pollingIntervalSeconds: pollSeconds,
      batchSize: BATCH,
      burstWhenBatchFull: true,
      perJobResults: true,
      includeMetadata: inOrder,
    } as const;
    const id = await this.#boss.work<{ body: string }, unknown, typeof options>(
      queue,
      options,
      (batch) => (inOrder ? oneByOne(batch, perform) : Promise.all(batch.map(perform))),
    );
    this.#workers.set(queue, id);
  }

  async #perform(queue: string, handler: JobHandler, job: Job): Promise<JobResult> {
    try {
      await handler(job.data.body, job.id, job.signal);
      return { id: job.id, status: 'completed' };
    } catch (error) {
      this.#log.warn({ component: 'jobs', job: queue, ...errorFields(error) }, 'job failed');
      // The queue's table keeps the output, so nothing of the error goes there.
      return { id: job.id, status: 'failed' };
    }
  }

  /**
   * Enqueues a job in the transaction of `em`: it exists once that has committed, and is performed
   * `delaySeconds` after it began.
   */
  async enqueue(
    em: EntityManager,
    queue: string,
    body: string,
    { delaySeconds = 0 } = {},
  ): Promise<void> {
    await this.#boss.send(queue, { body }, { db: within(em), startAfter: delaySeconds });
  }

  /**
   * Marks a job as performed in the transaction of `em`, which does what it is for: so it is done once,
   * although it may be performed again. Returns false if it has been performed already.
   */
  async finish(em: EntityManager, queue: string, jobId: string): Promise<boolean> {
    const db = within(em);
    // Its type does not say what it has.
    const done: { affected?: number } = await this.#boss.complete(queue, jobId, undefined, { db });
    return done.affected === 1;
  }

  /** Wakes this replica's worker, which would otherwise look within a second. */
  wake(queue: string): void {
    const worker = this.#workers.get(queue);
    if (worker !== undefined) this.#boss.notifyWorker(worker);
  }

  /** Runs the jobs that wait for a retry now: whatever made them fail is over. */
  async hurry(queue: string): Promise<void> {
    await this.#database.script(
      `update ${SCHEMA}.job set start_after = now() where name = $1 and state = 'retry'`,
      [queue],
    );
    this.wake(queue);
  }

  /** Lets the jobs that are under way finish, for some seconds. */
  async stop(): Promise<void> {
    // The library's own way to wait looks twice a second, and only after the first half second.
    const workers = [...this.#workers.keys()].map((queue) => this.#boss.offWork(queue));
    await Promise.race([Promise.all(workers), sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    await this.#boss.stop({ close: false, graceful: true, timeout: STOP_TIMEOUT_MS });
  }
}

/** Statements of the queue in the transaction of `em`. */
function within(em: EntityManager) {
  return {
    executeSql: async (sql: string, values: unknown[] = []) => ({
      rows: await query<{ [column: string]: unknown }>(em, sql, values),
    }),
  };
}

async function oneByOne(
  batch: readonly Job[],
  perform: (job: Job) => Promise<JobResult>,
): Promise<JobResult[]> {
  const results: JobResult[] = [];
  const time = ({ createdOn }: Job) => new Date(createdOn ?? 0).getTime();
  const ordered = batch.toSorted((one, other) => time(one) - time(other));
  for (const job of ordered) results.push(await perform(job));
  return results;
}
