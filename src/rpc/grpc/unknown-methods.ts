import * as grpc from '@grpc/grpc-js';

/**
 * Answers calls to unknown methods in place of grpc-js, whose answer has no error details: with a
 * method for every path, so that `beginCalls` sees these calls too.
 */
export function answerUnknownMethods(handlers: Map<unknown, unknown>): void {
  const find = handlers.get.bind(handlers);
  handlers.get = (path) => find(path) ?? unknownMethod(String(path));
}

function unknownMethod(path: string) {
  return {
    type: 'bidi',
    path,
    serialize: (bytes: Buffer) => bytes,
    deserialize: (bytes: Buffer) => bytes,
    func: (call: grpc.ServerDuplexStream<Buffer, Buffer>) =>
      call.emit('error', { code: grpc.status.UNIMPLEMENTED, details: '' }),
  };
}
