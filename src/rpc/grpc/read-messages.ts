import { ConnectError } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import type { Zip } from '../unzip.ts';
import { hasKnownFlags, unframed, zipOf } from './framing.ts';
import { type InnermostCall, readMessages } from './node-internals.ts';
import type { UnknownInternals } from './unknown-internals.ts';

const ODD = {
  code: grpc.status.INVALID_ARGUMENT,
  details: 'the prefix of a message has unknown or unexpected flags',
};

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
  const isRead = readMessages(rpc, (frame, encoding) => {
    const zip = zipOf(encoding);
    if (zip === undefined && encoding !== 'identity') return undefined;
    if (!hasKnownFlags(frame, zip)) throw ODD;
    return unzipped(frame, zip, maxBytes);
  });
  if (!isRead) unknown.add('messages');
}

function unzipped(frame: Buffer, zip: Zip | undefined, maxBytes: number): Buffer {
  try {
    return unframed(frame, zip, maxBytes);
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    // The codes of Connect are those of gRPC.
    throw { code: Number(code), details: rawMessage };
  }
}
