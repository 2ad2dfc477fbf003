import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The ports of what an example stands between: the service behind it, and two replicas. */
export type Ports = {
  upstream: number;
  grpc: readonly [number, number];
  http: readonly [number, number];
};

/** The text of an example in deploy/mesh, with these ports; the proxy itself listens on `port`. */
export function exampleWith(file: string, port: number, { upstream, grpc, http }: Ports): string {
  const ports: Record<string, number> = {
    ...{ 8000: port, 3000: upstream, 50051: grpc[0], 50052: grpc[1] },
    ...{ 8080: http[0], 8081: http[1] },
  };
  return readFileSync(join('deploy/mesh', file), 'utf8').replace(
    /\b(8000|3000|5005[12]|808[01])\b/g,
    (each) => String(ports[each]),
  );
}
