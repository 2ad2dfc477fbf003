import { errorFields, type Log } from './log.ts';
import { connectRedis, type RedisClient, setRedisCredentials } from './redis.ts';

/**
 * Tells other replicas to look at something now. A hint carries nothing and may be lost; whoever
 * listens also looks by itself from time to time.
 */
export type Hints = {
  publish(channel: string): void;
  subscribe(channel: string, listener: () => void): void;
  /** Connections from now on use the credentials of this URL. */
  setUrl(url: string): void;
  close(): void;
};

/** For one replica without Redis: nobody else is there to be told. */
export const noHints: Hints = { publish() {}, subscribe() {}, setUrl() {}, close() {} };

/** Hints by Redis publish/subscribe. `client` publishes; listening takes a connection of its own. */
export function redisHints(client: RedisClient, url: string, log: Log): Hints {
  const listeners = new Map<string, () => void>();
  let subscriber: RedisClient | undefined;
  const listen = (channels: string[]) => {
    subscriber?.subscribe(...channels).catch((error) => {
      log.debug({ component: 'redis', ...errorFields(error) }, 'not subscribed');
    });
  };
  return {
    publish(channel) {
      client.publish(channel, '').catch((error) => {
        log.debug({ component: 'redis', ...errorFields(error) }, 'hint not sent');
      });
    },
    subscribe(channel, listener) {
      listeners.set(channel, listener);
      if (subscriber?.status === 'ready') listen([channel]);
      if (!subscriber) {
        subscriber = connectRedis(url, log);
        subscriber.on('message', (name: string) => listeners.get(name)?.());
        // After every connection, the first and those after an outage: what was missed is looked up.
        subscriber.on('ready', () => {
          listen([...listeners.keys()]);
          for (const each of listeners.values()) each();
        });
      }
    },
    setUrl(next) {
      for (const each of [client, subscriber]) if (each) setRedisCredentials(each, next);
    },
    close() {
      subscriber?.disconnect();
    },
  };
}
