import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanups } from '../service/cleanups.ts';
import { bearer } from './doors.ts';
import { type Fault, plannedFaults } from './fault-plan.ts';
import { judge } from './judge.ts';
import { Ledger } from './ledger.ts';
import { Administrator, type Person, refresh, settle, signIn } from './people.ts';
import type { SoakReport } from './report.ts';
import { RevokedCredentials } from './revoked.ts';
import { metricsOf, type Series, sampled, sumOf } from './samples.ts';
import { Stage } from './stage.ts';
import { Traffic } from './traffic.ts';
import { Watcher } from './watchers.ts';

export type SoakOptions = {
  lastsMs: number;
  seed: number;
  people: number;
  /** Times the usual traffic. */
  rate: number;
  faults: readonly Fault[];
  directory: string;
  say: (text: string) => void;
};

const STREAMS_OF_EACH = 2;
/** How long after the traffic webhooks and watchers have to catch up. */
const CATCH_UP_MS = 60_000;
/** How many new accounts are tried at the end: each costs a hash. */
const TRIED_ACCOUNTS = 50;
const MOST_SAMPLES = 600;

/** Runs a soak, and returns what it has shown. */
export async function soak(cleanups: Cleanups, options: SoakOptions): Promise<SoakReport> {
  const { lastsMs, say } = options;
  say('starting PostgreSQL, Redis and two replicas');
  const stage = await Stage.set(cleanups, options.directory);
  const ledger = new Ledger(stage);
  const ending = new AbortController();
  cleanups.add(() => ending.abort());
  const { signal } = ending;
  const revoked = new RevokedCredentials(stage, ledger, signal);
  const { traffic, people } = await prepared(stage, ledger, revoked, options.people);
  // What it took to begin is no part of the soak.
  ledger.calls.length = 0;
  const watchers = watching(stage, ledger, signal);
  stage.begin();
  const everyMs = Math.max(1000, lastsMs / MOST_SAMPLES);
  const now = () => stage.since();
  const series = sampled(stage.replicas, { everyMs, signal, now });
  const ownDelay = monitorEventLoopDelay();
  ownDelay.enable();
  say(`traffic for ${Math.round(lastsMs / 1000)} s, faults by seed ${options.seed}`);
  const over = AbortSignal.any([AbortSignal.timeout(lastsMs), signal]);
  await Promise.all([traffic.run(options.rate, over), faults(stage, options)]);
  ownDelay.disable();
  say('looking for what was lost');
  const lastedMs = stage.since();
  await lookForLosses({ stage, ledger, people, traffic, revoked, watchers });
  const pendingWebhooks = await webhooksPending(stage);
  ending.abort();
  const { calls, lost, accepted, untold } = ledger;
  const seen = { calls, windows: stage.windows, lost, accepted, untold };
  const counts = {
    signUps: traffic.signedUp.length,
    revoked: revoked.all.length,
    webhooksArrived: stage.target.answered,
    webhooksPending: pendingWebhooks,
    ownDelayMs: ownDelay.percentile(99) / 1e6,
  };
  return reportOf(options, { lastedMs, seen, series, counts });
}

function reportOf(
  { seed, people, rate }: SoakOptions,
  {
    lastedMs,
    seen,
    series,
    counts,
  }: {
    lastedMs: number;
    seen: Parameters<typeof judge>[0];
    series: Series[];
    counts: SoakReport['counts'];
  },
): SoakReport {
  const { lost, untold, windows } = seen;
  return {
    ...{ seed, people, rate, lastedMs, windows, counts },
    ...{ lost: [...lost], untold: [...untold], series },
    ...judge(seen),
  };
}

/** Signs people up, makes what the traffic needs, and a webhook that is told of what happens. */
async function prepared(stage: Stage, ledger: Ledger, revoked: RevokedCredentials, count: number) {
  const people = await settle(ledger, count);
  const admin = await Administrator.appoint(stage, ledger);
  const headers = bearer(await admin.token());
  const key = await ledger.insist('CreateApiKey', ({ keys }) =>
    keys.createApiKey({ displayName: 'soak', scopes: ['users.read'] }, { headers }),
  );
  const eventTypes = ['account.*', 'session.*', 'api_key.*'];
  const url = `${stage.targetUrl}/soak`;
  const webhook = await ledger.insist('CreateWebhook', ({ webhooks }) =>
    webhooks.createWebhook({ displayName: 'soak', url, eventTypes }, { headers }),
  );
  if ('failure' in key || 'failure' in webhook) {
    throw new Error(`the soak can't begin: ${JSON.stringify([key, webhook])}`);
  }
  const apiKey = key.answer.secret;
  const traffic = new Traffic({ ledger, people, admin, revoked, apiKey });
  return { people, traffic };
}

function watching(stage: Stage, ledger: Ledger, signal: AbortSignal): Watcher[] {
  return stage.replicas.flatMap((_, first) =>
    Array.from({ length: STREAMS_OF_EACH }, (_, number) => {
      const watcher = new Watcher(`watcher ${first * STREAMS_OF_EACH + number + 1}`);
      void watcher.follow(stage, ledger, first, signal);
      return watcher;
    }),
  );
}

async function faults(stage: Stage, { lastsMs, seed, faults, say }: SoakOptions): Promise<void> {
  for (const planned of plannedFaults(lastsMs, seed, faults)) {
    const wait = planned.at - stage.since();
    if (wait > 0) await sleep(wait);
    say(`${Math.round(stage.since() / 1000)} s: ${planned.fault}`);
    await stage.suffer(planned);
    await sleep(stage.recoveryMs);
  }
}

/** Looks at everything that must still be there, and at everything that must not. */
async function lookForLosses(parts: {
  stage: Stage;
  ledger: Ledger;
  people: readonly Person[];
  traffic: Traffic;
  revoked: RevokedCredentials;
  watchers: readonly Watcher[];
}): Promise<void> {
  const { stage, ledger, people, traffic, revoked, watchers } = parts;
  for (const person of people) {
    await refresh(ledger, person);
    const token = person.tokens.accessToken;
    const outcome = await ledger.insist('IntrospectToken, at the end', ({ sessions }) =>
      sessions.introspectToken({ token }),
    );
    if (!('answer' in outcome && outcome.answer.active)) ledger.lose(`token of ${person.email}`);
  }
  for (const email of traffic.signedUp.slice(-TRIED_ACCOUNTS)) {
    const outcome = await ledger.insist('Login, new account', (door) => signIn(door, email));
    if ('failure' in outcome) ledger.lose(`account ${email}: ${JSON.stringify(outcome.failure)}`);
  }
  await revoked.presentAll();
  const untold = () =>
    watchers.flatMap((watcher) =>
      revoked.all
        .filter(({ id }) => !watcher.knows(id))
        .map(({ kind, id, at }) => ({ what: `${kind} ${id} to ${watcher.name}`, at })),
    );
  await until(async () => untold().length === 0);
  ledger.untold.push(...untold());
  await until(async () => (await webhooksPending(stage)) === 0);
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + CATCH_UP_MS; Date.now() < end && !(await isDone()); ) {
    await sleep(500);
  }
}

async function webhooksPending({ replicas }: Stage): Promise<number | undefined> {
  const text = await metricsOf(replicas[0]?.addresses.http ?? '');
  return text === undefined ? undefined : sumOf(text, 'countersign_webhook_deliveries_pending');
}
