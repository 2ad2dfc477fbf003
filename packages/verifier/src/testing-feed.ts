import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Revocation,
  RevocationSchema,
  type WatchRevocationsResponseSchema,
} from '../gen/countersign/v1/session_service_pb.ts';
import type { Principal } from './principal.ts';
import { RevocationSet } from './revocation-set.ts';

/** What a test revokes: the tokens of a session, a token by its `jti`, of a subject so far, or of a key. */
export type TestTarget =
  | { readonly sessionId: string }
  | { readonly tokenId: string }
  | { readonly subject: string }
  | { readonly apiKeyId: string }
  | { readonly signingKeyId: string };

type Answer = MessageInitShape<typeof WatchRevocationsResponseSchema>;

const KEPT_MS = 30 * 60_000;
const CHECKPOINT_MS = 1000;

/** The revocations of a test issuer, and those who watch them. */
export class TestFeed {
  readonly set = new RevocationSet();
  readonly #log: Revocation[] = [];
  readonly #versions = new Map<string, number>();
  readonly #nowMs: () => number;
  #isSilent = false;
  #wake = Promise.withResolvers<void>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  set isSilent(isSilent: boolean) {
    this.#isSilent = isSilent;
    this.checkpoint();
  }

  versionOf(subject: string): number {
    return this.#versions.get(subject) ?? 0;
  }

  revoke(target: TestTarget): void {
    const expiresAt = timestampFromMs(this.#nowMs() + KEPT_MS);
    const revocation = create(RevocationSchema, {
      target: this.#targetOf(target),
      expiresAt,
      cause: 'test',
    });
    this.#log.push(revocation);
    this.set.add(revocation);
  }

  covers(principal: Principal): boolean {
    return this.set.covers(principal);
  }

  #targetOf(target: TestTarget) {
    if ('sessionId' in target) return { case: 'sessionId', value: target.sessionId } as const;
    if ('tokenId' in target) return { case: 'tokenId', value: target.tokenId } as const;
    if ('apiKeyId' in target) return { case: 'apiKeyId', value: target.apiKeyId } as const;
    if ('signingKeyId' in target) {
      return { case: 'signingKeyId', value: target.signingKeyId } as const;
    }
    const { subject } = target;
    const version = this.versionOf(subject) + 1;
    this.#versions.set(subject, version);
    const notBefore = timestampFromMs(this.#nowMs());
    const value = { subject, notBefore, tokenVersion: BigInt(version) };
    return { case: 'subject', value } as const;
  }

  /** Tells all who watch, right now, how far they have heard. */
  checkpoint(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** Cursors are numbers of revocations. */
  async *watch(cursor: string, signal: AbortSignal): AsyncGenerator<Answer> {
    let told = Number(cursor);
    let caughtUp = true;
    while (!signal.aborted) {
      const woken = this.#wake.promise;
      if (!this.#isSilent) {
        for (; told < this.#log.length; told += 1) {
          const value = this.#log[told];
          if (value) yield { cursor: `${told + 1}`, event: { case: 'revocation', value } };
        }
        const value = { caughtUp, asOf: timestampFromMs(Math.floor(this.#nowMs())) };
        yield { cursor: `${told}`, event: { case: 'checkpoint', value } };
        caughtUp = false;
      }
      await wakingOr(woken, signal);
    }
  }
}

/** Until something happens, the reader has gone, or it is time for another checkpoint. */
async function wakingOr(woken: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, CHECKPOINT_MS).unref();
  const leave = () => resolve();
  signal.addEventListener('abort', leave);
  void woken.then(resolve);
  await promise;
  signal.removeEventListener('abort', leave);
  clearTimeout(timer);
}
