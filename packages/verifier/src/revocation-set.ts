import type { Revocation } from '../gen/countersign/v1/session_service_pb.ts';
import type { Principal } from './principal.ts';

/** What a revocation is compared with. */
type Revocable = Pick<
  Principal,
  'sessionId' | 'tokenId' | 'apiKeyId' | 'keyId' | 'subject' | 'tokenVersion' | 'issuedAt'
>;

/** An actor has neither session nor signature of its own in a token. */
const NONE = { sessionId: '', keyId: '' };

/** The revocations in force, as the service has told them. */
export class RevocationSet {
  /** Ids, each with the time (ms) when the last token that it concerns has expired. */
  readonly #expiries = {
    sessionId: new Map<string, number>(),
    tokenId: new Map<string, number>(),
    subject: new Map<string, number>(),
    apiKeyId: new Map<string, number>(),
    signingKeyId: new Map<string, number>(),
  };
  /** Subjects' ids, each with the moment (seconds, with a fraction) before which tokens are revoked. */
  readonly #notBefore = new Map<string, number>();
  /** The same for tokens that have a version, which a revocation by version does not judge by time. */
  readonly #notBeforeForAll = new Map<string, number>();
  /** Subjects' ids, each with the version below which tokens are revoked. */
  readonly #belowVersion = new Map<string, bigint>();

  /** How many there are. */
  get size(): number {
    return Object.values(this.#expiries).reduce((sum, { size }) => sum + size, 0);
  }

  add({ target, expiresAt }: Revocation): void {
    // A kind that only a newer version of the service knows.
    if (target.case === undefined) return;
    const expiresAtMs = secondsOf(expiresAt, Number.POSITIVE_INFINITY) * 1000;
    const id = target.case === 'subject' ? target.value.subject : target.value;
    raise(this.#expiries[target.case], id, expiresAtMs);
    if (target.case !== 'subject') return;
    const { tokenVersion, notBefore } = target.value;
    // Without a moment, all tokens of the subject.
    const seconds = secondsOf(notBefore, tokenVersion > 0n ? 0 : Number.POSITIVE_INFINITY);
    raise(this.#notBefore, id, seconds);
    if (tokenVersion > 0n) raise(this.#belowVersion, id, tokenVersion);
    else raise(this.#notBeforeForAll, id, seconds);
  }

  /**
   * Whether the credential of a principal is revoked, or what one of its actors acts with. A token with a version is judged by it, without any
   * clock; otherwise its `iat`, in whole seconds, is compared with the moment as it is.
   */
  covers(principal: Principal): boolean {
    if (this.#coversOwn(principal)) return true;
    for (const actor of principal.actors) if (this.#coversOwn({ ...NONE, ...actor })) return true;
    return false;
  }

  #coversOwn(principal: Revocable): boolean {
    const { sessionId, tokenId, apiKeyId, signingKeyId } = this.#expiries;
    if (sessionId.has(principal.sessionId) || tokenId.has(principal.tokenId)) return true;
    if (apiKeyId.has(principal.apiKeyId) || signingKeyId.has(principal.keyId)) return true;
    const { subject, tokenVersion, issuedAt } = principal;
    const belowVersion = this.#belowVersion.get(subject);
    const isVersioned = tokenVersion !== undefined;
    if (isVersioned && belowVersion !== undefined && tokenVersion < belowVersion) return true;
    const notBefore = (isVersioned ? this.#notBeforeForAll : this.#notBefore).get(subject);
    return notBefore !== undefined && issuedAt < notBefore;
  }

  coversKey(keyId: string): boolean {
    return this.#expiries.signingKeyId.has(keyId);
  }

  /** Forgets the revocations whose tokens have all expired. */
  forgetExpired(nowMs: number): void {
    for (const expiries of Object.values(this.#expiries)) {
      for (const [id, expiresAt] of expiries) if (expiresAt <= nowMs) expiries.delete(id);
    }
    for (const id of this.#notBefore.keys()) {
      if (this.#expiries.subject.has(id)) continue;
      for (const each of [this.#notBefore, this.#notBeforeForAll, this.#belowVersion])
        each.delete(id);
    }
  }
}

type Time = { seconds: bigint; nanos: number } | undefined;

/** A timestamp in seconds. */
export function secondsOf(time: Time, otherwise: number): number {
  return time ? Number(time.seconds) + time.nanos / 1e9 : otherwise;
}

function raise<T extends number | bigint>(values: Map<string, T>, id: string, value: T): void {
  const known = values.get(id);
  if (known === undefined || known < value) values.set(id, value);
}
