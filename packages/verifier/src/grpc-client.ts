import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { ConnectError } from '@connectrpc/connect';
import {
  type Deadline,
  InterceptingCall,
  type Interceptor,
  type InterceptorOptions,
  Metadata,
  status as Status,
  type StatusObject,
} from '@grpc/grpc-js';
import { ErrorInfoSchema } from '../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import { saysExpired } from './details.ts';
import type { Tokens } from './token-source.ts';

/** A call as the next interceptor makes it. */
type Call = ReturnType<Parameters<Interceptor>[1]>;
type Listener = Parameters<Call['start']>[1];
type MakeCall = () => Call;

/**
 * Attaches an access token to each call. A unary call that is refused with TOKEN_EXPIRED is made once more
 * with another token; a stream is not, since its messages may have been taken. Waiting for a token counts
 * against the deadline of the call.
 */
export function clientInterceptor(tokens: Tokens): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(new TokenCall(tokens, options, () => nextCall(options)));
}

/** A call that begins once it has a token. What its caller does until then, and for a retry, is kept. */
class TokenCall implements Call {
  readonly #tokens: Tokens;
  readonly #options: InterceptorOptions;
  readonly #makeCall: MakeCall;
  readonly #isUnary: boolean;
  readonly #leaving = new AbortController();
  #call: Call | undefined;
  #metadata = new Metadata();
  #listener: Listener;
  #kept: ((call: Call) => void)[] = [];
  #isOver = false;

  constructor(tokens: Tokens, options: InterceptorOptions, makeCall: MakeCall) {
    this.#tokens = tokens;
    this.#options = options;
    this.#makeCall = makeCall;
    const { requestStream, responseStream } = options.method_definition;
    this.#isUnary = !requestStream && !responseStream;
  }

  start(metadata: Metadata, listener?: Listener): void {
    this.#metadata = metadata;
    this.#listener = listener;
    void this.#begin(this.#isUnary);
  }

  sendMessageWithContext(context: object, message: unknown): void {
    this.#do((call) => call.sendMessageWithContext(context, message));
  }

  sendMessage(message: unknown): void {
    this.#do((call) => call.sendMessage(message));
  }

  startRead(): void {
    this.#do((call) => call.startRead());
  }

  halfClose(): void {
    this.#do((call) => call.halfClose());
  }

  cancelWithStatus(code: Status, details: string): void {
    this.#leaving.abort();
    if (this.#call) this.#call.cancelWithStatus(code, details);
    else this.#end({ code, details, metadata: new Metadata() });
  }

  getPeer(): string {
    return this.#call?.getPeer() ?? 'unknown';
  }

  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.#call?.getAuthContext() ?? null;
  }

  #do(action: (call: Call) => void): void {
    if (!this.#call || this.#isUnary) this.#kept.push(action);
    if (this.#call) action(this.#call);
  }

  async #begin(mayRetry: boolean): Promise<void> {
    this.#call = undefined;
    try {
      const token = await this.#token();
      if (!this.#isOver) this.#startWith(token, mayRetry);
    } catch (error) {
      this.#end(statusOf(error));
    }
  }

  async #token(): Promise<string> {
    const leftMs = millisecondsUntil(this.#options.deadline);
    if (leftMs === Number.POSITIVE_INFINITY) return this.#tokens.get(this.#leaving.signal);
    const late = { code: Status.DEADLINE_EXCEEDED, details: 'Deadline exceeded' };
    const timer = setTimeout(() => this.#leaving.abort(late), Math.max(0, leftMs)).unref();
    try {
      return await this.#tokens.get(this.#leaving.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  #startWith(token: string, mayRetry: boolean): void {
    const call = this.#makeCall();
    const metadata = this.#metadata.clone();
    metadata.set('authorization', `Bearer ${token}`);
    // What is heard of a unary call before its status: its caller hears nothing of a call made once more.
    const heard: (() => void)[] = [];
    const hear = (tell: () => void) => {
      if (this.#isUnary) heard.push(tell);
      else tell();
    };
    call.start(metadata, {
      onReceiveMetadata: (headers) => hear(() => this.#listener?.onReceiveMetadata?.(headers)),
      onReceiveMessage: (message: unknown) =>
        hear(() => this.#listener?.onReceiveMessage?.(message)),
      onReceiveStatus: (status) => {
        const isExpired = status.code === Status.UNAUTHENTICATED && refusedAsExpired(status);
        if (isExpired) this.#tokens.expire(token);
        if (isExpired && mayRetry && !this.#leaving.signal.aborted) {
          void this.#begin(false);
          return;
        }
        for (const tell of heard) tell();
        this.#end(status);
      },
    });
    this.#call = call;
    const kept = this.#kept;
    if (!this.#isUnary) this.#kept = [];
    for (const action of kept) action(call);
  }

  #end(status: StatusObject): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener?.onReceiveStatus?.(status);
  }
}

function millisecondsUntil(deadline: Deadline | undefined): number {
  if (deadline === undefined) return Number.POSITIVE_INFINITY;
  return (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now();
}

function refusedAsExpired({ metadata }: StatusObject): boolean {
  const [bytes] = metadata.get('grpc-status-details-bin');
  if (!Buffer.isBuffer(bytes)) return false;
  try {
    const { details } = fromBinary(StatusSchema, bytes);
    const infos = details.map((detail) => anyUnpack(detail, ErrorInfoSchema));
    return saysExpired(infos.filter((info) => info !== undefined));
  } catch {
    return false;
  }
}

/** Why there is no token: codes of Connect are those of gRPC. */
function statusOf(error: unknown): StatusObject {
  const metadata = new Metadata();
  if (typeof error === 'object' && error !== null && 'code' in error && 'details' in error) {
    const { code, details } = error;
    if (typeof details === 'string') return { code: Number(code), details, metadata };
  }
  const { code, rawMessage } = ConnectError.from(error);
  return { code: code as number, details: rawMessage, metadata };
}
