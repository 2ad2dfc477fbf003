import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import pg from 'pg';
import {
  AuthService,
  RefreshTokenRequestSchema,
  RefreshTokenResponseSchema,
} from '../../gen/countersign/v1/auth_service_pb.ts';
import { framed } from '../load/grpc-framing.ts';
import { signUpPeople } from '../load/people.ts';
import { sendVaried } from '../load/varied-load.ts';
import type { Contestant, Row } from '../report/row.ts';
import { type Cleanups, outputOf } from '../service/cleanups.ts';
import { startOnPostgres } from '../service/replica.ts';

const CLIENTS = 32;
const SEEDED = 20_000;
const GRACE_MS = 20_000;
const PATH = `/${AuthService.typeName}/${AuthService.method.refreshToken.name}`;

/** 32 clients, each of which repeatedly exchanges its refresh token. */
export const refreshToken: Row = {
  name: 'RefreshToken',
  about:
    'AuthService/RefreshToken by 32 clients, PostgreSQL, against the same statement by pgbench',
  target: 0.35,
  async prepare(cleanups, options) {
    if (spawnSync('pgbench', ['--version']).status !== 0) {
      throw new Error(
        'The row RefreshToken needs pgbench (Debian: apt-get install postgresql-contrib).',
      );
    }
    const service = await startOnPostgres(cleanups, options);
    await insertSessions(service.databaseUrl);
    return [await refreshes(service.grpcAddress), statements(cleanups, service.databaseUrl)];
  },
};

/** Inserts sessions whose ids end with a number, so that pgbench can choose one. */
async function insertSessions(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`
    insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
    values ('00000000-0000-7000-8000-000000000000', 'x@x.y', 'x@x.y', '', 'active', '{user}', now(), now());
    insert into sessions
    select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
      '00000000-0000-7000-8000-000000000000', '', '', '', '{pwd}', now(), now(),
      now() + interval '1 day', null, null, 0, decode(repeat('00', 32), 'hex'), 1, now()
    from generate_series(1, ${SEEDED}) n;
    analyze`);
  await client.end();
}

async function refreshes(address: string): Promise<Contestant> {
  const people = await signUpPeople(address);
  const tokens = await Promise.all(
    Array.from({ length: CLIENTS }, async () => (await people.signIn()).refreshToken),
  );
  /** The tokens of those whose turn it is. */
  const waiting = [...tokens];
  let responseBytes = 0;
  const received = (message: Buffer) => {
    const answer = fromBinary(RefreshTokenResponseSchema, message);
    responseBytes = message.length;
    waiting.push(answer.tokens?.refreshToken ?? '');
  };
  const send = (calls: () => boolean) =>
    sendVaried({
      address,
      path: PATH,
      next: () => (calls() ? request(waiting.shift() ?? '') : undefined),
      received,
      get responseBytes() {
        return responseBytes;
      },
      width: { connections: 1, streams: CLIENTS },
    });
  return {
    name: 'the service',
    async check() {
      let left = CLIENTS;
      const { calls } = await send(() => left-- > 0);
      if (calls !== CLIENTS || waiting.length !== CLIENTS || waiting.includes('')) {
        throw new Error('a refresh was refused');
      }
    },
    async perSecond(seconds) {
      const end = performance.now() + seconds * 1000;
      return (await send(() => performance.now() < end)).perSecond;
    },
  };
}

function request(refreshToken: string): Buffer {
  const message = create(RefreshTokenRequestSchema, { refreshToken });
  return framed(toBinary(RefreshTokenRequestSchema, message));
}

/** The statement of SessionRepository.rotate, but it keeps the values that it compares. */
const STATEMENT = `
\\set n random(1, ${SEEDED})
update sessions s
set refresh_generation = s.refresh_generation + 1, refresh_hash = s.refresh_hash,
    refresh_key_version = 1, refreshed_at = now()
from accounts a
where s.id = ('00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'))::uuid
  and s.refresh_generation >= 0 and s.refresh_key_version = 1 and s.ended_at is null
  and s.expires_at > now() and s.refreshed_at > now() - interval '14 days'
  and a.id = s.account_id and a.state = 'active'
returning s.id, s.account_id, s.amr, s.auth_time, s.refreshed_at, s.expires_at, a.roles;
`;

function statements(cleanups: Cleanups, databaseUrl: string): Contestant {
  const script = join(cleanups.directory(), 'refresh.sql');
  writeFileSync(script, STATEMENT);
  const measure = async (seconds: number) => {
    const args = ['-n', '-M', 'prepared', '-c', String(CLIENTS), '-T', String(seconds)];
    const child = cleanups.process('pgbench', [...args, '-f', script, databaseUrl], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const report = await outputOf(child, seconds * 1000 + GRACE_MS);
    await sleep(100);
    return Number(/tps = ([\d.]+)/.exec(report)?.[1]);
  };
  return {
    name: 'pgbench',
    check: async () => {
      if (!((await measure(1)) > 0)) throw new Error('pgbench did nothing');
    },
    perSecond: measure,
  };
}
