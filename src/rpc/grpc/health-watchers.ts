import type { HandlerContext } from '@connectrpc/connect';
import { Failure } from '../../platform/failure.ts';
import { type NewsListeners, NewsReader } from '../../platform/news.ts';
import { callOf } from '../call.ts';
import type { Limits } from '../limits.ts';
import { connectionKey } from './connection-key.ts';

type Watcher = Pick<NewsReader, 'wait' | 'leave'>;

/** Those who watch health. They have no credential, so their connections and addresses are counted (W02). */
export class HealthWatchers {
  readonly #limits: Limits;
  readonly #listeners: NewsListeners = new Map();
  readonly #ofConnections = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Throws `OVERLOADED` if the replica, the caller's address or its connection has as many watchers as
   * it may. Every caller that enters must leave.
   */
  enter({ values, signal }: HandlerContext): Watcher {
    const { maxHealthWatchers: max, watcherShare: share } = this.#limits;
    const connection = values.get(connectionKey);
    const held = this.#ofConnections.get(connection) ?? 0;
    if (held >= this.#limits.maxHealthWatchersOfConnection) throw tooMany();
    const caller = { subject: '', ipAddress: callOf(values).countedAs, signal };
    const reader = new NewsReader(this.#listeners, { max, share }, caller);
    this.#ofConnections.set(connection, held + 1);
    return {
      wait: (ms) => reader.wait(ms),
      leave: () => {
        reader.leave();
        this.#leave(connection);
      },
    };
  }

  wake(): void {
    for (const wake of this.#listeners.keys()) wake();
  }

  #leave(connection: string): void {
    const held = this.#ofConnections.get(connection) ?? 0;
    if (held > 1) this.#ofConnections.set(connection, held - 1);
    else this.#ofConnections.delete(connection);
  }
}

function tooMany(): Failure {
  const text = 'this connection has too many watchers of health; end one';
  return new Failure('exhausted', 'OVERLOADED', text, { retryAfterMs: 1000 });
}
