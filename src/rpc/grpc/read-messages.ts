import { ConnectError } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import { unzip } from '../unzip.ts';
import { PREFIX_BYTES } from './framing.ts';
import { type InnermostCall, readMessages } from './node-internals.ts';
import type { UnknownInternals } from './unknown-internals.ts';

const ODD = {
  code: grpc.status.INVALID_ARGUMENT,
  details: 'the prefix of a message has unknown or unexpected flags',
};
const COMPRESSED = 1;

/**
 * Refuses messages whose prefix has flags that the protocol does not know, and those marked as
 * compressed in a call that does not say how: grpc-js reads them as if they had no flags. Decompresses
 * the others without a stream of node's for each, which takes far more memory.
 */
export function readWithCare(
  rpc: InnermostCall,
  maxBytes: number,
  unknown: UnknownInternals,
): void {
  const isRead = readMessages(rpc, (message, encoding) => {
    const flags = message[0] ?? 0;
    if (flags > COMPRESSED || (flags === COMPRESSED && encoding === 'identity')) throw ODD;
    if (encoding !== 'gzip' && encoding !== 'deflate') return undefined;
    return unzipped(encoding, message.subarray(PREFIX_BYTES), maxBytes);
  });
  if (!isRead) unknown.add('messages');
}

function unzipped(encoding: 'gzip' | 'deflate', bytes: Buffer, maxBytes: number): Buffer {
  try {
    return unzip(encoding, bytes, maxBytes);
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    // The codes of Connect are those of gRPC.
    throw { code: Number(code), details: rawMessage };
  }
}
