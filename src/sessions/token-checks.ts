import { type Count, Counts, type Sample } from '../platform/counts.ts';
import { Failure } from '../platform/failure.ts';

/** What a check needed: memory alone, a signature, or the database. */
export type CheckSource = 'memory' | 'signature' | 'database';

export const CHECK_LABELS = ['kind', 'result', 'source'] as const;

const REFUSALS: Readonly<Record<string, string>> = {
  TOKEN_INVALID: 'invalid',
  TOKEN_EXPIRED: 'expired',
  TOKEN_REVOKED: 'revoked',
};

/** Counts the checks of one kind of credential. */
export class TokenChecks {
  /** For the most frequent of all: `fromMemory.value += 1`. */
  readonly fromMemory: Count;
  readonly #kind: string;
  readonly #counts = new Counts(...CHECK_LABELS);

  constructor(kind: 'access_token' | 'api_key') {
    this.#kind = kind;
    this.fromMemory = this.#counts.of(kind, 'valid', 'memory');
  }

  note(result: string, source: CheckSource): void {
    this.#counts.add(this.#kind, result, source);
  }

  /** `error` is what the check threw: why it refused the token, or why it could not find out. */
  failed(error: unknown, source: CheckSource): void {
    const refusal = error instanceof Failure ? REFUSALS[error.reason] : undefined;
    this.note(refusal ?? 'error', source);
  }

  get samples(): Iterable<Sample> {
    return this.#counts.samples;
  }
}
