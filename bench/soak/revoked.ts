import { setTimeout as sleep } from 'node:timers/promises';
import type { Door } from './doors.ts';
import { BOUND_MS, STALENESS_LIMIT_MS } from './judge.ts';
import type { Ledger } from './ledger.ts';
import type { Stage } from './stage.ts';

/** A credential of which the service has said that it is revoked. */
export type Revoked = { kind: 'token' | 'key'; secret: string; id: string; at: number };

/** When each is presented again, after its revocation (ms). */
const PRESENTED_AFTER_MS = [100, BOUND_MS, 3 * BOUND_MS, STALENESS_LIMIT_MS + 2 * BOUND_MS];

/** Presents revoked credentials to every replica, some times after their revocation and at the end. */
export class RevokedCredentials {
  readonly all: Revoked[] = [];
  readonly #stage: Stage;
  readonly #ledger: Ledger;
  readonly #signal: AbortSignal;

  constructor(stage: Stage, ledger: Ledger, signal: AbortSignal) {
    this.#stage = stage;
    this.#ledger = ledger;
    this.#signal = signal;
  }

  /** To be called when the answer to its revocation has arrived. */
  add(kind: Revoked['kind'], secret: string, id: string): void {
    const revoked = { kind, secret, id, at: this.#stage.since() };
    this.all.push(revoked);
    void this.#presentLater(revoked);
  }

  async presentAll(): Promise<void> {
    for (const revoked of this.all) await this.#present(revoked);
  }

  async #presentLater(revoked: Revoked): Promise<void> {
    for (const after of PRESENTED_AFTER_MS) {
      const wait = revoked.at + after - this.#stage.since();
      await sleep(Math.max(0, wait), undefined, { signal: this.#signal }).catch(() => {});
      if (this.#signal.aborted) return;
      await this.#present(revoked);
    }
  }

  async #present(revoked: Revoked): Promise<void> {
    const { kind, id, at: revokedAt } = revoked;
    for (const { door, name } of this.#stage.replicas) {
      const checkedAt = this.#stage.since();
      // A failure of the check is no acceptance, and other calls show it.
      if (!(await isAccepted(door, revoked).catch(() => false))) continue;
      this.#ledger.accepted.push({ what: `${kind} ${id} by ${name}`, revokedAt, checkedAt });
    }
  }
}

async function isAccepted({ sessions, keys }: Door, { kind, secret }: Revoked): Promise<boolean> {
  if (kind === 'key') return (await keys.verifyApiKey({ secret })).valid;
  return (await sessions.introspectToken({ token: secret })).active;
}
