import { type JobResult, PgBoss } from 'pg-boss';
import { errorFields, type Log } from './log.ts';
import { type EntityManager, query } from './sql.ts';
import type { SqlDatabase } from './sql-database.ts';

const SCHEMA = 'jobs';
/** Retries for days: after 5 s, 10 s, 20 s … at most 30 minutes apart, with jitter. */
const RETRY = { retryLimit: 300, retryBackoff: true, retryDelay: 5, retryDelayMax: 1800 };
const KEEP_FINISHED_SECONDS = 24 * 3600;
const WORKER_POLL_SECONDS = 1;
/** How many jobs a replica performs at once. After a full batch it takes the next without delay. */
const BATCH = 10;
/** A job must end within this time. After that, another replica performs it again. */
const JOB_TIMEOUT_SECONDS = 60;
const STOP_TIMEOUT_MS = 5000;

/** Performs a job of a queue. It may be called more than once for one job. */
export type JobHandler = (data: string, jobId: string, signal: AbortSignal) => Promise<void>;

/**
 * The queues of jobs (outbox): a job that a transaction enqueues is performed if and only if the
 * transaction commits, at least once, and on any replica. Its data is a string that is meaningless
 * without the master key.
 */
export class Jobs {
  readonly #boss: PgBoss;
  readonly #log: Log;
  readonly #workers = new Map<string, string>();

  constructor(database: SqlDatabase, log: Log) {
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

  async start(): Promise<void> {
    await this.#boss.start();
  }

  /** Makes this replica perform the jobs of a queue. A handler that throws is called again later. */
  async work(queue: string, handler: JobHandler): Promise<void> {
    const options = {
      pollingIntervalSeconds: WORKER_POLL_SECONDS,
      batchSize: BATCH,
      burstWhenBatchFull: true,
      perJobResults: true,
    } as const;
    const id = await this.#boss.work<{ body: string }, unknown, typeof options>(
      queue,
      options,
      (batch) => Promise.all(batch.map((job) => this.#perform(queue, handler, job))),
    );
    this.#workers.set(queue, id);
  }

  async #perform(
    queue: string,
    handler: JobHandler,
    job: { id: string; data: { body: string }; signal: AbortSignal },
  ): Promise<JobResult> {
    try {
      await handler(job.data.body, job.id, job.signal);
      return { id: job.id, status: 'completed' };
    } catch (error) {
      this.#log.warn({ component: 'jobs', job: queue, ...errorFields(error) }, 'job failed');
      // The queue's table keeps the output, so nothing of the error goes there.
      return { id: job.id, status: 'failed' };
    }
  }

  /** Enqueues a job in the transaction of `em`: it exists once that has committed. */
  async enqueue(em: EntityManager, queue: string, body: string): Promise<void> {
    const db = {
      executeSql: async (sql: string, values: unknown[] = []) => ({
        rows: await query<unknown>(em, sql, values),
      }),
    };
    await this.#boss.send(queue, { body }, { db });
  }

  /** Wakes this replica's worker, which would otherwise look within a second. */
  wake(queue: string): void {
    const worker = this.#workers.get(queue);
    if (worker !== undefined) this.#boss.notifyWorker(worker);
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ close: false, graceful: true, timeout: STOP_TIMEOUT_MS });
  }
}
