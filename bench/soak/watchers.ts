import { setTimeout as sleep } from 'node:timers/promises';
import { isNotTaken } from './doors.ts';
import type { Ledger } from './ledger.ts';
import type { Replica } from './replicas.ts';
import type { Stage } from './stage.ts';

const KIND = 'WatchRevocations';
const PAUSE_MS = 200;

/** A reader of revocations, which goes on from its cursor at the next replica when a stream ends. */
export class Watcher {
  readonly name: string;
  readonly #told = new Set<string>();
  #cursor = '';

  constructor(name: string) {
    this.name = name;
  }

  /** Reads until the signal fires, first from the replica with this number. */
  async follow(stage: Stage, ledger: Ledger, first: number, signal: AbortSignal): Promise<void> {
    for (let turn = first; !signal.aborted; turn += 1) {
      const replica = stage.replicas[turn % stage.replicas.length] as Replica;
      try {
        await this.#read(replica, signal);
      } catch (thrown) {
        const isOver = signal.aborted || isNotTaken(thrown);
        // Its end is what a fault has to explain, and not the hours before.
        if (!isOver) await ledger.noteEnd(KIND, stage.since() - PAUSE_MS, thrown);
      }
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Whether it has been told of the revocation of a session or key. */
  knows(id: string): boolean {
    return this.#told.has(id);
  }

  async #read({ door }: Replica, signal: AbortSignal): Promise<void> {
    const stream = door.streams.watchRevocations({ cursor: this.#cursor }, { signal });
    for await (const { cursor, event } of stream) {
      if (cursor !== '') this.#cursor = cursor;
      const target = event.case === 'revocation' ? event.value.target : undefined;
      if (target?.case === 'sessionId' || target?.case === 'apiKeyId') this.#told.add(target.value);
    }
  }
}
