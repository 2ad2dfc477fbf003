import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { TargetRefused, WebhookTargets } from '../webhooks/webhook-targets.ts';
import type { Database } from './database.ts';
import { ANSWER_MS, type Finding, findings, type Sentences } from './finding.ts';

/** How many that have a problem are named. */
const NAMED = 20;

export const WEBHOOKS = {
  'webhooks.none': { state: 'ok', says: 'none' },
  'webhooks.ok': {
    state: 'ok',
    says: '{count}: each host resolves to addresses that may be sent to',
  },
  'webhooks.host': {
    state: 'warning',
    says: 'webhook {id}: {host} {problem}',
    todo: 'correct its URL or the DNS; deliveries wait, and are tried again for days',
  },
  'webhooks.more': {
    state: 'warning',
    says: '{count} more have such a problem',
    todo: 'mend those above first: they may have one cause',
  },
} as const satisfies Sentences;

const say = findings(WEBHOOKS);

/** Whether webhooks lead anywhere. Paths are not shown: they may hold secrets. */
export async function checkWebhooks(
  database: Database,
  rules: Config['webhooks'],
): Promise<Finding[]> {
  const webhooks = await database.ask<{ id: string; url: string }>(
    `select id, url from webhooks where deleted_at is null and state <> 'disabled' order by id`,
  );
  if (webhooks.length === 0) return [say('webhooks.none')];
  const targets = new WebhookTargets(rules);
  const problems = (
    await Promise.all(
      webhooks.map(async ({ id, url }) => {
        const problem = await problemOf(targets, url);
        return problem === undefined ? [] : [{ id, host: new URL(url).host, problem }];
      }),
    )
  ).flat();
  if (problems.length === 0) return [say('webhooks.ok', { count: webhooks.length })];
  const more = problems.length - NAMED;
  return [
    ...problems.slice(0, NAMED).map((each) => say('webhooks.host', each)),
    ...(more > 0 ? [say('webhooks.more', { count: more })] : []),
  ];
}

async function problemOf(targets: WebhookTargets, url: string): Promise<string | undefined> {
  try {
    await Promise.race([targets.check(url), silence()]);
    return undefined;
  } catch (error) {
    if (error instanceof TargetRefused) return error.message;
    throw error;
  }
}

/** One name that nobody answers for keeps nothing from being said about the others. */
async function silence(): Promise<never> {
  await sleep(ANSWER_MS, undefined, { ref: false });
  throw new TargetRefused('dns', 'has a host for which no name server answers');
}
