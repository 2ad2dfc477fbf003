import { setTimeout as sleep } from 'node:timers/promises';
import { create, createRegistry, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ConnectError, HandlerContext } from '@connectrpc/connect';
import { Failure } from '../../src/platform/failure.ts';
import { callOf } from '../../src/rpc/call.ts';
import { toConnectError } from '../../src/rpc/errors.ts';
import { unknownMethod } from '../../src/rpc/failures.ts';
import { DEFAULT_DEADLINE_MS } from '../../src/rpc/limits.ts';
import { type Service, service } from '../../src/rpc/services/service.ts';
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformancePayloadSchema,
  ConformanceService,
  type Error as ErrorMessage,
  file_connectrpc_conformance_v1_service,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type UnaryRequest,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from '../gen/connectrpc/conformance/v1/service_pb.ts';

const registry = createRegistry(file_connectrpc_conformance_v1_service);
type Info = ConformancePayload_RequestInfo;

/** What Connect's conformance runner calls: https://github.com/connectrpc/conformance */
export const conformanceService: Service = service(ConformanceService, {
  unary: (request, context) => answerUnary(UnaryRequestSchema, request, context),
  idempotentUnary: (request, context) =>
    answerUnary(IdempotentUnaryRequestSchema, request, context),
  unimplemented: () => {
    throw unknownMethod();
  },
  async clientStream(requests, context) {
    const all = await Array.fromAsync(requests);
    const packed = all.map((each) => anyPack(ClientStreamRequestSchema, each));
    return answerOnce(all[0]?.responseDefinition, packed, context);
  },
  async *serverStream(request, context) {
    const { responseDefinition: definition } = request;
    setMetadata(definition, context);
    const info = requestInfo([anyPack(ServerStreamRequestSchema, request)], context);
    yield* payloads(definition, [info], context);
    const isEmpty = !definition?.responseData.length;
    if (definition?.error) throw asked(definition.error, isEmpty ? info : undefined, context);
  },
  bidiStream: answerBidi,
});

function answerUnary<T extends DescMessage>(
  schema: T,
  request: MessageShape<T> & Pick<UnaryRequest, 'responseDefinition'>,
  context: HandlerContext,
) {
  return answerOnce(request.responseDefinition, [anyPack(schema, request)], context);
}

async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  requests: Any[],
  context: HandlerContext,
) {
  const info = requestInfo(requests, context);
  setMetadata(definition, context);
  await sleep(definition?.responseDelayMs ?? 0, undefined, { signal: context.signal });
  const response = definition?.response;
  if (response?.case === 'error') throw asked(response.value, info, context);
  return { payload: payload(response?.value, info) };
}

async function* answerBidi(requests: AsyncIterable<BidiStreamRequest>, context: HandlerContext) {
  let first: BidiStreamRequest | undefined;
  let unanswered: Any[] = [];
  let answered = 0;
  for await (const request of requests) {
    if (!first) setMetadata(request.responseDefinition, context);
    first ??= request;
    unanswered.push(anyPack(BidiStreamRequestSchema, request));
    if (!first.fullDuplex) continue;
    const definition = first.responseDefinition;
    if (answered >= (definition?.responseData.length ?? 0)) break;
    const info =
      answered === 0
        ? requestInfo(unanswered, context)
        : create(ConformancePayload_RequestInfoSchema, { requests: unanswered });
    yield* payloads(definition, [info], context, answered, answered + 1);
    answered += 1;
    unanswered = [];
  }
  const definition = first?.responseDefinition;
  const info = answered === 0 ? requestInfo(unanswered, context) : undefined;
  yield* payloads(definition, info ? [info] : [], context, answered);
  const isEmpty = !definition?.responseData.length;
  if (definition?.error) throw asked(definition.error, isEmpty ? info : undefined, context);
}

/** The requested messages, from one to another; `infos` go with the first of them. */
async function* payloads(
  definition: StreamResponseDefinition | undefined,
  infos: Info[],
  context: HandlerContext,
  from = 0,
  to = Infinity,
) {
  const { responseData = [], responseDelayMs = 0 } = definition ?? {};
  for (const [index, data] of responseData.slice(from, to).entries()) {
    await sleep(responseDelayMs, undefined, { signal: context.signal });
    yield { payload: payload(data, infos[index]) };
  }
}

function payload(data: Uint8Array = new Uint8Array(), requestInfo?: Info) {
  return create(ConformancePayloadSchema, { data, ...(requestInfo && { requestInfo }) });
}

function requestInfo(requests: Any[], context: HandlerContext): Info {
  const requestHeaders = headers(context.requestHeader);
  const timeoutMs = context.timeoutMs();
  // A call without a deadline gets one, which is not what its caller named.
  const isNamed = timeoutMs !== undefined && timeoutMs < DEFAULT_DEADLINE_MS / 2;
  return create(ConformancePayload_RequestInfoSchema, {
    requests,
    requestHeaders,
    ...(isNamed && { timeoutMs: BigInt(Math.floor(timeoutMs)) }),
    ...(context.requestMethod === 'GET' && { connectGetInfo: queryOf(context) }),
  });
}

function queryOf({ url }: HandlerContext) {
  return { queryParams: headers(new URL(url).searchParams) };
}

function headers(pairs: Iterable<[string, string]>) {
  return [...pairs].map(([name, value]) => ({ name, value: [value] }));
}

function setMetadata(
  definition: { responseHeaders: Header[]; responseTrailers: Header[] } | undefined,
  { responseHeader, responseTrailer }: HandlerContext,
): void {
  const add = (to: Headers, all: Header[]) => {
    for (const { name, value } of all) for (const each of value) to.append(name, each);
  };
  add(responseHeader, definition?.responseHeaders ?? []);
  add(responseTrailer, definition?.responseTrailers ?? []);
}

/**
 * The requested error. The interceptors show callers only errors that they made themselves, so this is
 * one with everything in it replaced.
 */
function asked(
  { code, message = '', details }: ErrorMessage,
  info: Info | undefined,
  context: HandlerContext,
): ConnectError {
  const { requestId } = callOf(context.values);
  const error = toConnectError(new Failure('internal', 'INTERNAL', message), requestId);
  const all = details.map((any) => {
    const value = anyUnpack(any, registry);
    const desc = value && registry.getMessage(value.$typeName);
    if (!desc) throw new Error(`unknown detail ${any.typeUrl}`);
    return { desc, value };
  });
  const echo = info ? [{ desc: ConformancePayload_RequestInfoSchema, value: info }] : [];
  return Object.assign(error, { code: code as number, details: [...all, ...echo] });
}
