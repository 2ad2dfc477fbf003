import type { VerifierError } from './errors.ts';

/** What a verifier tells its owner. */
export type VerifierEvents = {
  /** It has every revocation in force, and follows. */
  ready: [];
  /** It has not heard from the service for too long, and does as `whileStale` says. */
  stale: [];
  /** The service has revoked something. `cause` is `logout`, `password_changed` and so on. */
  revocation: [{ readonly kind: string; readonly id: string; readonly cause: string }];
  /** The service could not be reached, or refuses the verifier itself. It tries again. */
  error: [VerifierError | Error];
};

type Listeners = { [K in keyof VerifierEvents]: Set<(...event: VerifierEvents[K]) => void> };

/** Tells listeners. One that throws is the owner's bug, and stops nothing else. */
export class Events {
  readonly #listeners: Listeners = {
    ready: new Set(),
    stale: new Set(),
    revocation: new Set(),
    error: new Set(),
  };

  /** Returns what ends it. */
  on<K extends keyof VerifierEvents>(
    name: K,
    listener: (...event: VerifierEvents[K]) => void,
  ): () => void {
    this.#listeners[name].add(listener);
    return () => this.#listeners[name].delete(listener);
  }

  emit<K extends keyof VerifierEvents>(name: K, ...event: VerifierEvents[K]): void {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(...event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
