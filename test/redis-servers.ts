import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { atEnd } from './harness/at-end.ts';
import { eventually } from './harness/eventually.ts';
import { temporaryDirectory } from './harness/prepared.ts';
import { type Program, startProgram } from './program.ts';
import { freePort } from './servers.ts';

/** A Redis server of a test's own, which it may kill and freeze. */
export type RedisNode = { port: number; program: Program; client: Redis };

export const PASSWORD = 'test-redis-password';
export const SENTINEL_PASSWORD = 'test-sentinel-password';
const MASTER = 'countersign.test';

export type Files = { cert: string; key: string };

async function startNode(lines: string[], password: string, more: string[] = [], tls?: Files) {
  const directory = temporaryDirectory();
  const port = await freePort();
  const file = join(directory, 'redis.conf');
  const ports = tls
    ? [
        `port 0`,
        `tls-port ${port}`,
        `tls-cert-file ${tls.cert}`,
        `tls-key-file ${tls.key}`,
        `tls-ca-cert-file ${tls.cert}`,
        'tls-auth-clients no',
        'tls-replication yes',
      ]
    : [`port ${port}`];
  const common = ['bind 127.0.0.1', `dir ${directory}`, `requirepass ${password}`];
  writeFileSync(file, [...ports, ...common, ...lines].join('\n'));
  const program = startProgram('redis-server', [file, ...more]);
  const client = new Redis({
    port,
    password,
    ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    commandTimeout: 1000,
    retryStrategy: () => 100,
  });
  client.on('error', () => {});
  atEnd(() => client.disconnect());
  await eventually(() => client.ping().then(Boolean, () => false));
  return { port, program, client } satisfies RedisNode;
}

const DATA = ['save ""', `masterauth ${PASSWORD}`, 'repl-diskless-sync-delay 0'];

/** A master, a replica and three Sentinels; returns the Redis URL. */
export async function startSentinels(tls?: Files) {
  const master = await startNode(DATA, PASSWORD, [], tls);
  const replicaOf = `replicaof 127.0.0.1 ${master.port}`;
  const replica = await startNode([...DATA, replicaOf], PASSWORD, [], tls);
  const sentinels: RedisNode[] = [];
  for (let count = 0; count < 3; count += 1) {
    sentinels.push(await startNode(watching(master.port), SENTINEL_PASSWORD, ['--sentinel'], tls));
  }
  const [first] = sentinels;
  await eventually(async () => {
    const fields = await first?.client.call('SENTINEL', 'MASTER', MASTER);
    const [slaves, others] = ['num-slaves', 'num-other-sentinels'].map((name) =>
      fieldOf(fields, name),
    );
    return slaves === '1' && others === '2';
  });
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const options = `?sentinel_password=${SENTINEL_PASSWORD}`;
  const scheme = tls ? 'rediss' : 'redis';
  const url = `${scheme}+sentinel://:${PASSWORD}@${hosts}/${MASTER}${options}`;
  return { url, nodes: [master, replica], sentinels };
}

function watching(port: number): string[] {
  return [
    `sentinel sentinel-pass ${SENTINEL_PASSWORD}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${port} 2`,
    `sentinel auth-pass ${MASTER} ${PASSWORD}`,
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ];
}

/** Of an answer by the protocol's second or third version. */
function fieldOf(fields: unknown, name: string): unknown {
  if (Array.isArray(fields)) return fields[fields.indexOf(name) + 1];
  return (fields as Record<string, unknown> | undefined)?.[name];
}

/** Three masters with a part of the slots each, and two replicas of the first; returns the Redis URL. */
export async function startCluster(tls?: Files) {
  const lines = [
    ...DATA,
    'cluster-enabled yes',
    'cluster-node-timeout 1000',
    ...(tls ? ['tls-cluster yes'] : []),
  ];
  const nodes: RedisNode[] = [];
  for (let count = 0; count < 5; count += 1) nodes.push(await startNode(lines, PASSWORD, [], tls));
  const [first, second, third, ...replicas] = nodes as [RedisNode, RedisNode, RedisNode];
  const ranges = [
    [0, 5460],
    [5461, 10922],
    [10923, 16383],
  ] as const;
  for (const [index, node] of [first, second, third].entries()) {
    await node.client.call('CLUSTER', 'ADDSLOTSRANGE', ...(ranges[index] ?? []));
  }
  for (const [epoch, node] of nodes.entries()) {
    await node.client.call('CLUSTER', 'SET-CONFIG-EPOCH', epoch + 1);
    if (node !== first) await node.client.call('CLUSTER', 'MEET', '127.0.0.1', first.port);
  }
  const id = await first.client.call('CLUSTER', 'MYID');
  for (const { client } of replicas as RedisNode[]) {
    await eventually(() =>
      client.call('CLUSTER', 'REPLICATE', id as string).then(Boolean, () => false),
    );
  }
  for (const { client } of nodes) {
    await eventually(async () => {
      const [info, slots] = [
        await client.call('CLUSTER', 'INFO'),
        await client.call('CLUSTER', 'NODES'),
      ];
      return /cluster_state:ok/.test(String(info)) && String(slots).match(/slave/g)?.length === 2;
    });
  }
  for (const { client } of replicas as RedisNode[]) {
    await eventually(async () => /master_link_status:up/.test(await client.info('replication')));
  }
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return { url: `${tls ? 'rediss' : 'redis'}+cluster://:${PASSWORD}@${hosts}`, nodes };
}

/** How many listen for hints about revocations, at any of these that answer. */
export async function listeners(nodes: RedisNode[]): Promise<number> {
  const counts = nodes.map(async ({ client }) => {
    const answer = await client.call('PUBSUB', 'NUMSUB', 'countersign:revocations').catch(() => []);
    return Number((answer as unknown[])[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, each) => sum + each, 0);
}

/** Whether a node serves as a master; one that does not answer is none. */
export async function isMaster({ client }: RedisNode): Promise<boolean> {
  const info = await client.info('replication').catch(() => '');
  return /role:master/.test(info);
}
