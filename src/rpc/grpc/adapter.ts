import type { DescMethod } from '@bufbuild/protobuf';
import { createMethodImplSpec, type MethodImpl, type MethodImplSpec } from '@connectrpc/connect';
import type * as grpc from '@grpc/grpc-js';
import { contextOf } from '../call.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { answerToUnreadable, requestOf } from '../messages/parse-request.ts';
import { type Service, termsOf, type UnaryTerms } from '../services/service.ts';
import type { Serving } from '../serving.ts';
import { composeUnary, type UnarySpec } from '../unary/compose-unary.ts';
import { type Carrier, UnaryCall } from '../unary/unary-call.ts';
import { carriedBy, headersOf, metadataOf } from './metadata.ts';
import { failed } from './status.ts';
import type { Raw } from './stream-answers.ts';
import { streamHandler } from './streams.ts';

/**
 * Serves a Connect service implementation by grpc-js, behind the interceptors. Messages pass through
 * grpc-js as bytes and are read here, so that an unreadable one gets the same answer as by Connect.
 */
export function addConnectService(server: grpc.Server, service: Service, serving: Serving): void {
  const definition: Record<string, grpc.MethodDefinition<Raw, Raw>> = {};
  const handlers: Record<string, grpc.UntypedHandleCall> = {};
  for (const method of service.descriptor.methods) {
    const implementation = service.implementation[method.localName] as MethodImpl<DescMethod>;
    const spec = createMethodImplSpec(method, implementation);
    definition[method.localName] = {
      path: `/${service.descriptor.typeName}/${method.name}`,
      requestStream: spec.kind === 'client_streaming' || spec.kind === 'bidi_streaming',
      responseStream: spec.kind === 'server_streaming' || spec.kind === 'bidi_streaming',
      requestDeserialize: (bytes) => bytes,
      responseSerialize: (bytes) => bytes,
      requestSerialize: (bytes) => bytes,
      responseDeserialize: (bytes) => bytes,
    };
    handlers[method.localName] = handler(spec, serving, termsOf(service, method));
  }
  server.addService(definition, handlers);
}

function handler(
  spec: MethodImplSpec,
  serving: Serving,
  terms: UnaryTerms | undefined,
): grpc.UntypedHandleCall {
  return spec.kind === 'unary' ? unaryHandler(spec, serving, terms) : streamHandler(spec, serving);
}

/** Serves the unary calls that `UnaryFastPath` does not take: those that are odd, or all. */
function unaryHandler(
  spec: UnarySpec,
  serving: Serving,
  terms: UnaryTerms | undefined,
): grpc.handleUnaryCall<Raw, Raw> {
  const invoke = composeUnary(spec, serving.interceptors);
  return async (rpc, done) => {
    const call = carriedBy(rpc.metadata);
    let unary: UnaryCall | undefined;
    try {
      const message = requestOf(spec.method.input, rpc.request, terms);
      unary = new UnaryCall(spec.method, message, contextOf(call), carrier(rpc));
      // grpc-js emits it at the end of every call.
      rpc.on('cancelled', () => unary?.abandon());
      const answer = await invoke(unary);
      const bytes = answerBytes(spec.method.output, answer.message);
      const { header, trailer } = unary.sent;
      if (header) rpc.sendMetadata(metadataOf(header));
      done(null, bytes, trailer && metadataOf(trailer));
    } catch (error) {
      const status = failed(spec.method, serving.log, call, error, unary?.sent);
      const instead = answerToUnreadable(terms, error);
      if (instead) done(null, answerBytes(spec.method.output, instead));
      else done(status);
      unary?.end(error);
    } finally {
      unary?.end();
    }
  };
}

function carrier(rpc: grpc.ServerUnaryCall<Raw, Raw>): Carrier {
  return {
    protocolName: 'grpc',
    path: rpc.getPath(),
    deadline: Number(rpc.getDeadline()),
    headers: headersOf(rpc.metadata),
  };
}
