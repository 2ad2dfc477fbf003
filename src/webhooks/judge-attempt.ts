import { addMs } from '../platform/clock.ts';
import type { DueDelivery, NotedAttempt } from './due-delivery.repository.ts';
import { delayBefore, pauseAfter } from './retry-schedule.ts';
import type { Attempt } from './send-webhook.ts';
import type { WebhookDisabledReason } from './webhook.entity.ts';

const DAY_MS = 24 * 3600_000;
const FAILING_MS = 5 * DAY_MS;
const GONE = 410;
const TOO_MANY = 429;

/** What follows from an attempt. */
export type Judgement = {
  noted: NotedAttempt;
  /** Since when the target has been failing; null if it has not. */
  failingSince: Date | null;
  /** Until when nothing more is sent to it. */
  pauseUntil?: Date;
  /** Why nothing is sent to it any more. */
  disable?: Exclude<WebhookDisabledReason, 'requested'>;
};

/**
 * Judges an attempt that was made between `startedAt` and `now`. `failingSince` is what was known before
 * it; `random` scatters the next attempt.
 */
export function judgeAttempt(
  delivery: DueDelivery,
  attempt: Attempt,
  { failingSince, startedAt, now }: { failingSince: Date | null; startedAt: Date; now: Date },
  random: number,
): Judgement {
  const { messageId } = delivery;
  const { durationMs, status, failure, retryAfterMs } = attempt;
  const seen = {
    started_at: startedAt.toISOString(),
    duration_ms: durationMs,
    ...(status === undefined ? {} : { status }),
  };
  const step = delivery.step + 1;
  if (failure === undefined) {
    const noted = {
      messageId,
      state: 'succeeded',
      nextAttemptAt: null,
      step,
      attempt: seen,
    } as const;
    return { noted, failingSince: null };
  }
  const since = failingSince ?? startedAt;
  const delay = delayBefore(step, retryAfterMs, random);
  const pauses = failure === 'timeout' || status === TOO_MANY;
  const isOver = isHopeless(delivery, since, now);
  return {
    noted: {
      messageId,
      state: delay === undefined ? 'failed' : 'pending',
      nextAttemptAt: delay === undefined ? null : addMs(now, delay),
      step,
      attempt: { ...seen, failure },
    },
    failingSince: since,
    ...(pauses ? { pauseUntil: addMs(now, pauseAfter(+now - +since, retryAfterMs)) } : {}),
    ...(status === GONE ? { disable: 'gone' } : isOver ? { disable: 'failing' } : {}),
  };
}

/** A target that has had nothing to do for days is given a day before it counts as failing for days. */
function isHopeless({ createdAt }: DueDelivery, since: Date, now: Date): boolean {
  return +now - +since >= FAILING_MS && +now - +createdAt >= DAY_MS;
}
