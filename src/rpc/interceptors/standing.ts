import type { Interceptor } from '@connectrpc/connect';
import type { RoleBook } from '../../access/role-book.ts';
import type { ApiKeyMemory } from '../../api-keys/api-key-memory.ts';
import type { ScopeUse } from '../../mesh/scope-use.ts';
import type { Clock } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { RevocationFeed } from '../../revocations/revocation-feed.ts';
import type { Principal } from '../../sessions/principal.ts';
import { type Call, callOf } from '../call.ts';
import { requireStill } from './access.ts';
import { authenticate, isRefusal, type Verifiers } from './authentication.ts';
import { messagesUntil, StreamWatch } from './stream-watch.ts';

type Parts = {
  clock: Clock;
  verifiers: Verifiers;
  revocations: Pick<RevocationFeed, 'covers' | 'followers'>;
  roles: Pick<RoleBook, 'version' | 'followers'>;
  apiKeyMemory: Pick<ApiKeyMemory, 'followers'>;
  /** How often (ms) every stream is judged, in addition to whenever there is news. */
  limits: { streamJudgedMs: number };
  /** A stream that stays open keeps using the scope that it needs. */
  scopeUse: ScopeUse;
};

/** A stream that a credential opened. */
type Stream = {
  readonly call: Call;
  readonly credential: string;
  principal: Principal;
  /** The version of the role book by which it was judged last. */
  version: number;
  /** Throws if the principal may no longer open it. */
  readonly requires: () => void;
  readonly ending: AbortController;
};

/**
 * Ends streams whose credential no longer opens them: it is revoked or expired, or its owner may do less
 * by now (S13). They are judged when revocations or changes of roles or keys arrive, and twice a second
 * for anything else, such as the end of a token. A dependency that is away ends none.
 */
export function standing(parts: Parts): Interceptor {
  const streams = new OpenedStreams(parts);
  return (next) => async (req) => {
    const call = callOf(req.contextValues);
    const { principal, credential } = call;
    if (!req.stream || !principal || credential === undefined) return next(req);
    const requires = () => requireStill(req.method, call, parts.scopeUse);
    const opened = streams.add({ call, credential, principal, requires });
    const over = () => opened.ending.signal.reason;
    const watch = new StreamWatch([{ signal: opened.ending.signal, reason: over }]);
    const leave = () => {
      watch.stop();
      streams.remove(opened);
    };
    try {
      const requests = new StreamWatch([{ signal: opened.ending.signal, reason: over }]);
      const message = messagesUntil(req.message, requests, () => requests.stop());
      const res = await watch.until(next({ ...req, message }));
      if (res.stream) return { ...res, message: messagesUntil(res.message, watch, leave) };
      leave();
      return res;
    } catch (error) {
      leave();
      throw error;
    }
  };
}

/** The open streams of a replica, and one timer for all. */
class OpenedStreams {
  readonly #parts: Parts;
  readonly #streams = new Set<Stream>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.revocations.followers.add(this.#onNews);
    parts.roles.followers.add(this.#onNews);
    parts.apiKeyMemory.followers.add(this.#onChangedKeys);
  }

  add(opened: Omit<Stream, 'version' | 'ending'>): Stream {
    const { version } = this.#parts.roles;
    const stream = { ...opened, version, ending: new AbortController() };
    this.#streams.add(stream);
    this.#timer ??= setInterval(() => this.#judgeAll(), this.#parts.limits.streamJudgedMs).unref();
    return stream;
  }

  remove(stream: Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #judgeAll(): void {
    for (const stream of this.#streams) void this.#judge(stream);
  }

  /** Judges those whom the news may concern: there may be very many streams. */
  readonly #onNews = (): void => {
    const { revocations, roles } = this.#parts;
    for (const stream of this.#streams) {
      const isOther = stream.version !== roles.version;
      if (isOther || revocations.covers(stream.principal)) void this.#judge(stream);
    }
  };

  readonly #onChangedKeys = (): void => {
    for (const stream of this.#streams) {
      if (stream.principal.apiKeyId !== '') void this.#judge(stream);
    }
  };

  async #judge(stream: Stream): Promise<void> {
    const { clock, verifiers, roles } = this.#parts;
    const { call, credential, ending } = stream;
    stream.version = roles.version;
    try {
      const principal = await authenticate(verifiers, call, credential, { isRepeated: true });
      stream.principal = principal;
      call.principal = principal;
      stream.requires();
    } catch (error) {
      if (isRefusal(error)) ending.abort(error);
      else if (hasExpired(stream.principal, clock)) ending.abort(expired());
    }
  }
}

/** For when the credential itself can't be judged. */
function hasExpired({ expiresAt }: Principal, clock: Clock): boolean {
  return expiresAt <= clock.now().getTime() / 1000;
}

function expired(): Failure {
  return new Failure('unauthenticated', 'TOKEN_EXPIRED', 'the credential has expired');
}
