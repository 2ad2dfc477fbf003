import type { Ports } from '../../test/mesh/proxies/example-ports.ts';
import { findEnvoy, startEnvoy } from '../load/envoy.ts';
import { startHttpEcho } from '../load/http-echo-process.ts';
import { requestBytes } from '../load/http1.ts';
import { Mint } from '../load/mint.ts';
import { openLoop, type Target } from '../load/open-loop.ts';
import { PROXIED_HEADERS } from '../load/proxied-request.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { median, percentile } from '../report/statistics.ts';
import { startOnPostgres } from '../service/replica.ts';

const PER_SECOND = 500;
const WARM_UP_SECONDS = 4;
/** Routes of the examples: one asks Countersign, with the other one Envoy decides by itself. */
const ROUTES = { asked: '/orders', open: '/public' };
const EXAMPLES = [
  { door: 'by gRPC', example: 'envoy-grpc.yaml' },
  { door: 'by HTTP', example: 'envoy-http.yaml' },
] as const;

/** How much longer a request takes for which Envoy asks. */
export const envoyLatency: FigureRow = {
  name: 'EnvoyLatency',
  about: `p50 and p99 of requests through Envoy at ${PER_SECOND} a second that Countersign is asked about, against those that it isn't; needs Envoy`,
  async figures(cleanups, options) {
    const { rounds = 5, seconds = 5 } = options as { rounds?: number; seconds?: number };
    findEnvoy();
    const service = await startOnPostgres(cleanups, options);
    const mint = await Mint.of(service);
    const headers = {
      ...PROXIED_HEADERS,
      authorization: `Bearer ${await mint.administratorsToken()}`,
    };
    const grpc = portOf(service.grpcAddress);
    const http = portOf(new URL(service.publicUrl).host);
    const upstream = portOf(await startHttpEcho(cleanups, { 'content-length': '0' }));
    const ports: Ports = { upstream, grpc: [grpc, grpc], http: [http, http] };
    const figures: Figure[] = [];
    for (const { door, example } of EXAMPLES) {
      const address = await startEnvoy(cleanups, example, ports, async (at) => {
        return (await fetch(`http://${at}${ROUTES.asked}`, { headers })).status === 200;
      });
      const target = (path: string): Target => {
        const request = requestBytes({ method: 'GET', path, headers });
        return { door: 'HTTP/1.1', address, request };
      };
      const pair = { asked: target(ROUTES.asked), open: target(ROUTES.open) };
      for (const each of [pair.asked, pair.open]) await latencies(each, WARM_UP_SECONDS);
      const asked: number[][] = [];
      const open: number[][] = [];
      for (let round = 0; round < rounds; round += 1) {
        asked.push(await latencies(pair.asked, seconds));
        open.push(await latencies(pair.open, seconds));
      }
      figures.push(...figuresOf(door, 0.5, asked, open), ...figuresOf(door, 0.99, asked, open));
    }
    return figures;
  },
};

function portOf(address: string): number {
  return Number(new URL(`http://${address}`).port);
}

function latencies(target: Target, seconds: number): Promise<number[]> {
  return openLoop(target, { perSecond: PER_SECOND, seconds });
}

/** A percentile of each round with the question and without, and the difference of the two. */
function figuresOf(door: string, share: number, asked: number[][], open: number[][]): Figure[] {
  const name = `p${share * 100}`;
  const ours = asked.map((round) => percentile(round, share));
  const bare = open.map((round) => percentile(round, share));
  const added = ours.map((each, round) => each - (bare[round] ?? Number.NaN));
  const unit = 'ms';
  return [
    { name: `${door}: ${name} without`, value: median(bare), unit },
    { name: `${door}: ${name} with`, value: median(ours), unit },
    { name: `${door}: ${name} added`, value: median(added), unit },
  ];
}
