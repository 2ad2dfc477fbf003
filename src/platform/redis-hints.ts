import { errorFields, type Log } from './log.ts';
import { connectRedis, type RedisClient, setRedisCredentials } from './redis.ts';

/** How often the connection that only listens is asked whether it is still there. */
const PING_MS = 1000;

/**
 * Asks other replicas to look at something now. A hint carries no data and may be lost, so listeners
 * also look by themselves from time to time.
 */
export type Hints = {
  publish(channel: string): void;
  subscribe(channel: string, listener: () => void): void;
  /** New connections use the credentials of this URL from now on. */
  setUrl(url: string): void;
  close(): void;
};

/** For replicas without Redis: no hints are sent, and none arrive. */
export const noHints: Hints = { publish() {}, subscribe() {}, setUrl() {}, close() {} };

/** Sends hints by Redis publish/subscribe. `client` publishes; listening needs its own connection. */
export function redisHints(client: RedisClient, url: string, log: Log): Hints {
  const listeners = new Map<string, () => void>();
  let subscriber: RedisClient | undefined;
  const pings = setInterval(() => void subscriber?.ping().catch(() => {}), PING_MS).unref();
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
        // After every connection, including those after an outage, since hints may have been missed.
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
      clearInterval(pings);
      subscriber?.disconnect();
    },
  };
}
